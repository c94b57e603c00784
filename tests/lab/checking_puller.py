"""Runs on a client: pulls images over and over, several at once, and checks every byte that it gets.

python3 -c TEXT URL AT_ONCE SECONDS ROUNDS, and on standard input an image a line (REPOSITORY:TAG).
Pulls until all rounds are through, or for so many seconds at least. Prints one JSON object: how many images,
bytes, and every failure.
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


def fetch(url, digest):
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


def pull(base, image):
    """One image, everything of it."""
    repository, tag = image.split(":")
    manifest, total = fetch(f"{base}/v2/{repository}/manifests/{tag}", None)
    document = json.loads(manifest)
    for blob in [document["config"], *document["layers"]]:
        total += fetch(f"{base}/v2/{repository}/blobs/{blob['digest']}", blob["digest"])[1]
    return total


def main():
    base, at_once, seconds, rounds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    images = [line.strip() for line in sys.stdin if line.strip()]
    waiting = queue.Queue()
    for _ in range(rounds):
        for image in images:
            waiting.put(image)
    result = {"images": 0, "bytes": 0, "failures": []}
    lock = threading.Lock()
    end = time.monotonic() + seconds

    def work():
        while True:
            try:
                image = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                size = pull(base, image)
            except Exception as error:  # whatever it is, the pull failed
                with lock:
                    result["failures"].append(f"{image}: {type(error).__name__}: {error}")
            else:
                with lock:
                    result["images"] += 1
                    result["bytes"] += size
            if time.monotonic() < end:
                waiting.put(image)

    begin = time.monotonic()
    workers = [threading.Thread(target=work) for _ in range(at_once)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    result["seconds"] = round(time.monotonic() - begin, 1)
    print(json.dumps(result))


main()
