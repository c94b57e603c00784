"""Runs on a client: pulls images, several at once, and checks every byte that it gets.

python3 -c TEXT URL AT_ONCE once|endless, and on standard input an image a line (REPOSITORY:TAG), then an
empty line. Pulls each of them once, or over and over until its input ends. Prints one JSON object: how many
images and bytes, and every failure.
"""

import hashlib
import json
import queue
import ssl
import sys
import threading
import time
import urllib.request

ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
# The test looks at content; that the way is the right one is for others to test.
CONTEXT = ssl._create_unverified_context()  # noqa: S323
PIECE = 256 * 1024


class Wrong(Exception):
    """What came is not what was asked for."""


def fetch(url: str, digest: str | None) -> tuple[bytes, int]:
    """A manifest's body (a blob's is not kept) and its length, checked by digest and headers."""
    request = urllib.request.Request(url, headers={"Accept": ACCEPT})  # noqa: S310
    summed, length, kept = hashlib.sha256(), 0, []
    with urllib.request.urlopen(request, context=CONTEXT, timeout=120) as answer:  # noqa: S310
        promised = int(answer.headers["Content-Length"])
        while True:
            piece = answer.read(PIECE)
            if not piece:
                break
            summed.update(piece)
            length += len(piece)
            if "/manifests/" in url:
                kept.append(piece)
    if length != promised:
        raise Wrong(f"{length} bytes of {promised}")
    if digest is not None and "sha256:" + summed.hexdigest() != digest:
        raise Wrong("another digest")
    return b"".join(kept), length


def pull(base: str, image: str) -> int:
    """One image, everything of it."""
    repository, tag = image.split(":")
    manifest, total = fetch(f"{base}/v2/{repository}/manifests/{tag}", None)
    document = json.loads(manifest)
    for blob in [document["config"], *document["layers"]]:
        total += fetch(f"{base}/v2/{repository}/blobs/{blob['digest']}", blob["digest"])[1]
    return total


def main() -> None:
    base, at_once, endless = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "endless"
    images = [line.strip() for line in iter(sys.stdin.readline, "\n") if line.strip()]
    waiting: queue.Queue[str] = queue.Queue()
    for image in images:
        waiting.put(image)
    pulled = {"images": 0, "bytes": 0}
    failures: list[str] = []
    lock = threading.Lock()
    told_to_end = threading.Event()

    def work() -> None:
        while not told_to_end.is_set():
            try:
                image = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                size = pull(base, image)
            except Exception as error:  # whatever it is, the pull failed
                with lock:
                    failures.append(f"{image}: {type(error).__name__}: {error}")
            else:
                with lock:
                    pulled["images"] += 1
                    pulled["bytes"] += size
            if endless:
                waiting.put(image)

    begin = time.monotonic()
    workers = [threading.Thread(target=work) for _ in range(at_once)]
    for worker in workers:
        worker.start()
    if endless:
        sys.stdin.read()
        told_to_end.set()
    for worker in workers:
        worker.join()
    print(json.dumps({**pulled, "failures": failures, "seconds": round(time.monotonic() - begin, 1)}))


main()
