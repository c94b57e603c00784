"""SSH keys of a lab: one for its user, one for each host, all made when the lab is."""

from pathlib import Path

from lab.command import output_of


def ensure_key(path: Path, comment: str) -> str:
    """The public key of `path`, as in an authorized_keys line; the pair is made where it is missing."""
    public = path.with_name(path.name + ".pub")
    if not (path.is_file() and public.is_file()):
        path.unlink(missing_ok=True)
        public.unlink(missing_ok=True)
        output_of(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    kind, key = public.read_text().split()[:2]
    return f"{kind} {key}"
