"""The pictures in docs/images, of a made-up day: ``toolchain/run python -m tests.status_pictures``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from components.status.judgement import judge
from components.status.page import page
from components.status.standing import put_together
from tests.chromium import DESKTOP, PHONE, picture
from tests.unit.status_sample import NOW, a_day, settings

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"


def main() -> None:
    """Writes both, small enough to be committed."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        standing = put_together("office", settings(Path(directory)), a_day(), NOW, 24)
        html = Path(directory) / "status.html"
        html.write_text(page(standing, judge(standing)), encoding="utf-8")
        for name, width, height in (("status", DESKTOP, 1490), ("status-phone", PHONE, 1900)):
            png = Path(directory) / f"{name}.png"
            picture(html, png, width, height)
            with Image.open(png) as image:
                whole = image.crop((0, 0, width, height)).convert("RGB")
                whole.quantize(64, dither=Image.Dither.NONE).save(IMAGES / png.name, optimize=True)


if __name__ == "__main__":
    main()
