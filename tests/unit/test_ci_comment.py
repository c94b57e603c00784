"""The comment on a pull request: short, within GitHub's limit, and nobody breaks out of it."""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ci.comment import LIMIT, MARKER, Origin, render
from ci.markdown import element, fence, span, visible, words
from ci.plan import Change, Message, Plan

PAGE = "https://github.example/example/caches/actions/runs/77"
HOSTILE = (
    "```",
    "`````` ~~~",
    "</code></pre></details><img src=x onerror=alert(1)>",
    "<!-- registry-cache: previews -->",
    "@everyone #1 [link](https://evil.example) ![i](https://evil.example/x.png)",
    "- [x] done\n\n# A heading\n\n| a | b |\n|---|---|",
    "> [!WARNING]",
    "safe\u202etxt.exe\u0000\r",
    "a\u2028b",
    "`",
    "&lt;b&gt;",
)
OURS = re.compile(r"<!-- registry-cache: previews -->|</?(details|summary|code|sub)>")


def update(host: str, old: str, new: str, step: str = "firewall") -> Change:
    return Change(f"{host}-{step}", "command:remote:Command", "update", {"stdin": old}, {"stdin": new})


def plan_of(*hosts: str, old: str = "one\n", new: str = "two\n") -> Plan:
    return Plan("prod", hosts=hosts, changes=tuple(update(host, old, new) for host in hosts))


def tokens(text: str) -> list[Token]:
    """The comment as a Markdown parser with raw HTML reads it, inner tokens too."""
    found: list[Token] = []
    for token in MarkdownIt("commonmark", {"html": True}).parse(text):
        found += [token, *(token.children or [])]
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_others_stays_inside_code_wherever_it_stands(text: str) -> None:
    evil = f"EVIL {text} EVIL"
    plan = Plan(
        stack=evil,
        note=evil,
        hosts=(evil, "web-1"),
        arriving=(evil,),
        changes=(
            Change(f"{evil}-firewall", evil, "update", {evil: evil, "stdin": evil}, {"stdin": "two"}),
            update("web-1", f"{evil}\n", f"x{evil}\n{evil}"),
            update("web-1", "", "", step=f"configuration-{evil}"),
            Change(f"ca-{evil}", "t", "create", {}, {"create": f"exec {evil}", "labels": [{"label": evil}]}),
        ),
        messages=(Message("error", f"{evil}\n{evil}", evil), Message("warning", evil, evil)),
    )
    comment = render([plan], Origin("c" * 40, PAGE))
    for token in tokens(comment):
        if token.type in {"html_block", "html_inline"}:
            shown = re.sub(r"<code>[^<]*</code>", "", token.content)
            assert OURS.sub("", shown).strip(" \n:,") in {"", "what it says in full"}, token.content
        elif token.type == "text":
            assert "EVIL" not in token.content, token.content
    links = [token.attrGet("href") for token in tokens(comment) if token.type == "link_open"]
    assert links == [PAGE]
    headings = [token for token in tokens(comment) if token.type == "heading_open"]
    assert len(headings) == 1, "only ours"
    assert comment.count(MARKER) >= 1
    assert comment.startswith(MARKER)
    assert "\u202e" not in comment
    assert "\u0000" not in comment


@pytest.mark.parametrize("step", ["scripts", "mirror-client", "docker-engine", "other"])
@pytest.mark.parametrize(
    "value", ["exec bash apply", "exec sudo a apply", "apply", "a 'b", 5, True, [1], {"a": 1}, None]
)
def test_a_forged_command_is_shown_and_breaks_nothing(step: str, value: object) -> None:
    change = Change(f"web-1-{step}", "command:remote:Command", "update", {"create": "x"}, {"create": value})
    assert "**`prod`**: 1 to update on 1 host" in render([Plan("prod", hosts=("web-1",), changes=(change,))])


@pytest.mark.parametrize("text", HOSTILE)
def test_a_fence_holds_what_is_in_it(text: str) -> None:
    (block,) = tokens(fence(f"{text}\nafter", "diff"))
    assert (block.type, block.content.rstrip("\n")) == ("fence", visible(f"{text}\nafter"))


@pytest.mark.parametrize("text", [text for text in HOSTILE if "\n" not in text])
def test_a_span_holds_what_is_in_it(text: str) -> None:
    paragraph = tokens(f"a {span(text)} b")
    (code,) = [token for token in paragraph if token.type == "code_inline"]
    assert code.content == " ".join(visible(text).split())


def test_inside_html_a_text_is_escaped() -> None:
    assert element("<b>&`") == "<code>&lt;b&gt;&amp;`</code>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("config.yml of docker.io, 1 line", "config.yml of docker.io, 1 line"),
        ("config.yml of *x*", "`config.yml of *x*`"),
        ("see www.evil.example", "`see www.evil.example`"),
        ("http://evil.example", "`http://evil.example`"),
        ("- x", "`- x`"),
        ("", "` `"),
    ],
)
def test_our_words_stand_plain_unless_something_in_them_could_be_markdown(text: str, shown: str) -> None:
    assert words(text) == shown


def test_forty_clients_with_the_same_change_are_one_line_and_one_diff() -> None:
    comment = render([plan_of(*(f"web-{number:02}" for number in range(40)))])
    assert "- `web-00`, `web-01` and 38 more: firewall, 1 line\n" in comment
    assert comment.count("<details>") == 1
    assert len(comment) < 600


def test_several_stacks_stand_in_one_comment_and_their_warnings_on_top() -> None:
    warned = Plan("staging", messages=(Message("warning", "mirror-1 does not answer"),))
    comment = render([plan_of("web-1"), warned])
    assert comment.index("> [!WARNING]") < comment.index("**`prod`**") < comment.index("**`staging`**")
    assert "> - `staging`: `mirror-1 does not answer`" in comment
    assert "**`staging`**: no changes" in comment


def test_a_failed_preview_says_so_and_why() -> None:
    text = "The configuration has 2 mistakes:\n  one\n  two"
    comment = render([Plan("prod", failed=True, messages=(Message("error", text),))])
    assert "> [!CAUTION]" in comment
    assert ">   two" in comment
    assert "**`prod`**: the preview failed; see above" in comment


def test_a_failure_after_some_steps_does_not_look_like_the_whole() -> None:
    plan = plan_of("web-1")
    failed = Plan(
        "prod", failed=True, hosts=plan.hosts, changes=plan.changes, messages=(Message("error", "x"),)
    )
    assert "the preview failed, so there may be more" in render([failed])


def test_a_change_that_touches_no_stack_says_so() -> None:
    assert "No stack is touched by this change." in render([])


@pytest.mark.parametrize("line", ["x" * 70, "`" * 70, "&<>" * 30, "é" * 70, "\u202e" * 70])
@pytest.mark.parametrize("hosts", [1, 3, 200])
def test_what_is_too_long_for_github_is_cut_and_says_so(line: str, hosts: int) -> None:
    names = [f"web-{number}" for number in range(hosts)]
    changes = tuple(
        update(name, "", "".join(f"{name} {number} {line}\n" for number in range(6_000 // hosts)))
        for name in names
    )
    comment = render([Plan("prod", hosts=tuple(names), changes=changes)], Origin("c" * 40, PAGE))
    assert len(comment) <= LIMIT
    assert "Diffs were left out or cut" in comment
    assert f"the whole is in the log of {PAGE}" in comment
    assert comment.count("<details>") == comment.count("</details>"), (
        "nothing is cut in the middle of its frame"
    )
    assert len(comment) > LIMIT * 0.8 or hosts == 200, "what there is room for is shown"


def test_a_short_diff_stays_whole_beside_one_that_is_cut() -> None:
    long = "".join(f"{number} {'x' * 60}\n" for number in range(5_000))
    plan = Plan("prod", hosts=("a", "b"), changes=(update("a", "", long), update("b", "one\n", "two\n")))
    comment = render([plan])
    assert "-one\n+two" in comment
    assert re.search(r"… \d+ more lines are left out here", comment)


def test_thousands_of_hosts_with_changes_of_their_own_still_fit() -> None:
    names = tuple(f"web-{number}" for number in range(1_000))
    changes = tuple(update(name, "", "x\n" * (number + 1)) for number, name in enumerate(names[:100]))
    comment = render([Plan(f"stack-{number}", hosts=names, changes=changes) for number in range(20)])
    assert len(comment) <= LIMIT
    assert "left out" in comment


def test_many_messages_are_counted_and_not_all_shown() -> None:
    plan = Plan("prod", messages=tuple(Message("warning", f"host {n} does not answer") for n in range(50)))
    comment = render([plan])
    assert "> - `prod`: and 30 more" in comment
