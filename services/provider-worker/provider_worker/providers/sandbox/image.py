"""Drawing a picture from a prompt: a real PNG, the same for the same words."""

from __future__ import annotations

import colorsys
import hashlib
import io
import textwrap

from PIL import Image, ImageColor, ImageDraw, ImageFont

_SHAPES = 9


def draw(prompt: str, width: int, height: int) -> bytes:
    """Draw the prompt: colours it names, else colours of its hash; shapes by its hash; its words below. Returns a PNG."""
    seed = hashlib.sha256(prompt.encode(errors="replace")).digest()
    colours = _colours(prompt, seed)
    picture = _background(width, height, colours)
    pen = ImageDraw.Draw(picture)
    for number in range(_SHAPES):
        _shape(pen, seed[number * 3 : number * 3 + 3], width, height, colours[number % len(colours)])
    _caption(picture, prompt, width, height)
    body = io.BytesIO()
    picture.save(body, "PNG")
    return body.getvalue()


def _colours(prompt: str, seed: bytes) -> list[tuple[int, int, int]]:
    words = (word.strip(".,;:!?\"'()").lower() for word in prompt.split())
    named = [ImageColor.getrgb(word)[:3] for word in words if word in ImageColor.colormap]
    hues = [colorsys.hsv_to_rgb(byte / 255, 0.55, 0.9) for byte in seed[:3]]
    hashed = [(int(red * 255), int(green * 255), int(blue * 255)) for red, green, blue in hues]
    return [(rgb[0], rgb[1], rgb[2]) for rgb in named[:4]] or hashed


def _background(width: int, height: int, colours: list[tuple[int, int, int]]) -> Image.Image:
    top, bottom = ((240, 240, 245), colours[0])
    fade = Image.linear_gradient("L").resize((width, height))
    return Image.composite(Image.new("RGB", (width, height), bottom), Image.new("RGB", (width, height), top), fade)


def _shape(pen: ImageDraw.ImageDraw, seed: bytes, width: int, height: int, colour: tuple[int, int, int]) -> None:
    x, y = seed[0] * width // 256, seed[1] * height // 256
    radius = max(4, (seed[2] % 64 + 16) * min(width, height) // 400)
    box = (x - radius, y - radius, x + radius, y + radius)
    if seed[2] % 2:
        pen.ellipse(box, fill=colour, outline="black")
    else:
        pen.rectangle(box, fill=colour, outline="black")


def _caption(picture: Image.Image, prompt: str, width: int, height: int) -> None:
    letters = max(10, min(width, height) // 24)
    lines = textwrap.wrap(" ".join(prompt.split()), max(8, width * 2 // letters), max_lines=3, placeholder=" …")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(letters)
    top = height - (letters + 6) * len(lines) - 6
    pen.rectangle((0, top - 4, width, height), fill="white")
    for number, line in enumerate(lines):
        pen.text((8, top + number * (letters + 6)), line, fill="black", font=font)
