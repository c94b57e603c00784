"""When the certificate ends that the caches show their clients."""

import os
import ssl
import subprocess
from typing import Optional


def not_after(path: str) -> Optional[int]:
    """Seconds since 1970 for the first certificate of a PEM file; None where there is none."""
    if not os.path.exists(path):
        return None
    question = ["openssl", "x509", "-noout", "-enddate", "-in", path]
    done = subprocess.run(
        question, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10, check=False
    )
    name, _, end = done.stdout.decode("ascii", "replace").strip().partition("=")
    return int(ssl.cert_time_to_seconds(end)) if name == "notAfter" else None
