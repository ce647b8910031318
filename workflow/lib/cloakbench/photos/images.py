"""Photographs and face crops. Pixels are whole grey levels 0..255, RGB, outside every model."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps, UnidentifiedImageError

from cloakbench.errors import InputError
from cloakbench.files import seals

MAX_PIXELS = 100_000_000  # a 100 megapixel photograph is 300 MB once decoded
# what cameras and converters write; Pillow's other readers start programs (EPS, Ghostscript) or are nobody's photos
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """Grey levels of any float type as uint8, rounded to the nearest: truncation would turn a budget of 8 into 9."""
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def read_photo(path: Path | str) -> Image.Image:
    """A photograph as upright 8-bit RGB, whatever its mode and EXIF orientation.

    Transparent pixels are laid over white; 16-bit grey is scaled to 8 bits.
    Raises InputError for a file that is not an image of FORMATS, is cut off, or holds more than MAX_PIXELS pixels.
    """
    seals.note(pillow=PIL.__version__)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is checked below
            with Image.open(path, formats=FORMATS) as photo:
                if photo.width * photo.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                photo.load()
                return _to_rgb(ImageOps.exif_transpose(photo))
    except Image.DecompressionBombError:  # Pillow's own limit may come first
        raise InputError(f"{path}: more than {MAX_PIXELS:,} pixels; make it smaller") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such photo") from None
    except UnidentifiedImageError:
        raise InputError(f"{path}: not an image of a known form; accepted: {', '.join(FORMATS)}") from None
    except Exception as error:  # decoders of damaged files raise almost anything
        raise InputError(f"{path}: damaged image ({' '.join(str(error).split())}); copy or download it again") from None


def _to_rgb(photo: Image.Image) -> Image.Image:
    if photo.mode.startswith("I") or photo.mode == "F":  # 16-bit and float grey: convert() would clip at 255
        grey = np.asarray(photo, dtype=np.float64)
        return Image.fromarray(to_bytes(grey / 257 if grey.max(initial=0) > 255 else grey)).convert("RGB")
    if photo.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in photo.info:
        photo = photo.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", photo.size, "white"), photo).convert("RGB")
    return photo.convert("RGB")
