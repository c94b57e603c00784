"""What differs between a Docker resource's state and the program's inputs, as upstream sees it.

Upstream is a Terraform provider: a zero value (empty text, 0, false, no items) is the same as none, lists
that are sets have no order, and a computed input that the program leaves out never differs.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from offline_plugins.diff import Change, changes
from offline_plugins.spec import Spec
from offline_plugins.values import UNKNOWN, Properties, Value, reveal


@dataclass(frozen=True)
class DiffRules:
    """Peculiarities of one resource type.

    `sets` are the names, at any depth, of lists without an order. `maps` have free names, where an empty
    text is a value. `left_to_docker` are inputs that never differ when they are left out, although they are
    not computed.
    """

    sets: AbstractSet[str]
    maps: AbstractSet[str] = frozenset()
    left_to_docker: AbstractSet[str] = frozenset()


def differences(
    spec: Spec, rules: DiffRules, state: Properties, old_inputs: Properties, inputs: Properties
) -> list[Change]:
    """Every input that differs from the state, in which a default stands for what is missing."""
    found: list[Change] = []
    before, after = reveal(state), reveal(inputs)
    for name, field in sorted(spec.inputs.items()):
        old, new = before.get(name, field.default), after.get(name)
        absent = new is not UNKNOWN and _normal(new, name, rules) is None
        if absent and (name in spec.outputs or name in rules.left_to_docker):
            continue
        if isinstance(old, list) and isinstance(new, list):
            old = _without_computed(old, new)
        if _normal(old, name, rules) != _normal(new, name, rules):
            of_inputs = not same(name, rules, old_inputs.get(name), new)
            found += [
                replace(change, of_inputs=of_inputs)
                for change in changes({name: None if _empty(old) else old}, {name: None if absent else new})
            ]
    return found


def same(name: str, rules: DiffRules, one: Value, other: Value) -> bool:
    """Whether upstream takes two values of an input for the same."""
    return _normal(reveal(one), name, rules) == _normal(reveal(other), name, rules)


def _empty(value: Value) -> bool:
    return value is not UNKNOWN and not isinstance(value, bool) and not value


def _without_computed(old: list[Value], new: list[Value]) -> list[Value]:
    """The old items without the external ports that the program left to Docker."""
    open_ports = [item for item in new if isinstance(item, dict) and "external" not in item]
    return [
        {name: value for name, value in item.items() if name != "external"}
        if isinstance(item, dict) and any(port.items() <= item.items() for port in open_ports)
        else item
        for item in old
    ]


def _normal(value: Value, name: str, rules: DiffRules) -> object:
    """A form in which values are equal if upstream takes them for the same."""
    if value is UNKNOWN:
        return value
    if isinstance(value, dict) and name in rules.maps:
        return value or None
    if isinstance(value, dict):
        # In an order, for sets are sorted by how their items look.
        inner = {key: _normal(value[key], key, rules) for key in sorted(value)}
        return {key: item for key, item in inner.items() if item is not None} or None
    if isinstance(value, list):
        items = [_normal(item, name, rules) for item in value]
        return (sorted(items, key=repr) if name in rules.sets else items) or None
    # True == 1 in Python
    return (type(value), value) if value else None
