"""A seeded parametric face renderer: photographs of people who do not exist.

A face is a set of polygons on an ellipsoid: x to the right and y down in units of half the face's height,
z towards the camera. A person fixes the polygons and colours, a shot turns, lights and photographs them.
"""

from __future__ import annotations

from types import SimpleNamespace as Traits

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from cloakbench.photos.images import to_bytes

SIDE = 240  # pixels of a photo's side
FINE = 2  # polygons are drawn this many times larger, then averaged down: Pillow draws hard edges
SKINS = ((246, 218, 198), (232, 192, 164), (216, 170, 136), (190, 138, 104), (152, 104, 76), (124, 84, 62))
HAIRS = (
    (28, 22, 20), (44, 32, 26), (74, 48, 32), (104, 66, 40), (152, 104, 60), (206, 168, 104), (140, 62, 34),
    (160, 156, 152),
)  # fmt: skip
IRISES = ((60, 36, 22), (96, 62, 34), (88, 104, 62), (72, 112, 150), (110, 124, 132))
DARK = np.array((30.0, 16.0, 16.0))
TURN = np.linspace(0, 2 * np.pi, 28, endpoint=False)


def render(identity: int, photo: int, seed: int = 0) -> Image.Image:
    """Photo number `photo` of person `identity`: a SIDE x SIDE RGB picture with one face near its middle.

    The person depends on (seed, identity) alone; pose, light, expression, background and camera noise are
    drawn anew for each photo. The same three numbers, each 0 or more, always give the same pixels.
    """
    person = _person(np.random.default_rng([seed, identity, 0]))
    rng = np.random.default_rng([seed, identity, photo + 1])  # 0 is the person's stream
    shot = _shot(rng)
    pen = _Pen(person, shot, _background(rng))
    for part in (_back_hair, _body, _head, _eyes, _brows, _nose, _mouth, _marks, _front_hair, _glasses):
        part(pen, person, shot)
    return _photograph(pen, person, shot, rng)


def _person(rng: np.random.Generator) -> Traits:
    """Everything that makes the person: lengths in half face heights, colours in grey levels."""
    u, tone = rng.uniform, rng.uniform(0, len(SKINS) - 1)
    skin = np.array([np.interp(tone, range(len(SKINS)), channel) for channel in zip(*SKINS, strict=True)])
    return Traits(
        skin=skin + rng.normal(0, 6) + rng.normal(0, 4, 3),
        hair=np.array(HAIRS[rng.integers(len(HAIRS))]) * u(0.75, 1.2),
        iris=np.array(IRISES[rng.integers(len(IRISES))]) * u(0.7, 1.4), cloth=u(20, 235, 3),
        width=u(0.66, 0.84), jaw=u(0.64, 0.97), chin=u(1.7, 2.6), ears=u(0.12, 0.2),
        eye_x=u(0.265, 0.36), eye_y=u(-0.2, -0.06), eye_w=u(0.11, 0.165), eye_h=u(0.05, 0.095),
        slant=u(-0.35, 0.35),
        brow_y=u(0.14, 0.25), brow_h=u(0.02, 0.08), brow_w=u(0.14, 0.23), brow_arch=u(-0.01, 0.08),
        brow_tilt=u(-0.3, 0.3), nose_y=u(0.18, 0.34), nose_w=u(0.08, 0.19), nose_bulb=u(0.02, 0.09),
        mouth_y=u(0.5, 0.63), mouth_w=u(0.17, 0.33), lip=u(0.025, 0.085), lip_red=u(0.1, 0.75),
        hairline=u(-0.8, -0.55), volume=u(0.06, 0.24),
        length=rng.choice((-0.4, 0.1, 0.8, 1.5)) + u(-0.2, 0.2),
        parting=u(-0.5, 0.5), fringe=u(0, 0.12), bald=u() < 0.06,
        beard=rng.choice((0, 0, 0, 0.3, 0.6)), moustache=u() < 0.2,
        glasses=u() < 0.2, rim=u(10, 110, 3), rim_size=u(0.17, 0.22), rim_round=u(2, 5),
        freckles=u() < 0.25, spots=u((-0.45, -0.02), (0.45, 0.35), (40, 2)),
        mole=u((-0.4, 0.15), (0.4, 0.75)) if u() < 0.3 else None,
    )  # fmt: skip


def _shot(rng: np.random.Generator) -> Traits:
    """Everything that changes from photo to photo: angles in radians, `scale` and `middle` in pixels."""
    u, normal = rng.uniform, rng.normal
    return Traits(
        yaw=normal(0, 0.15), pitch=normal(0, 0.07), roll=normal(0, 0.07),
        scale=u(71, 82), middle=SIDE / 2 + u(-6, 6, 2) + (0, 3),
        light=np.array((u(-0.8, 0.8), u(-0.7, 0.1), 0.9)), ambient=u(0.5, 0.75), gain=u(0.9, 1.12),
        cast=1 + normal(0, 0.025, 3), smile=normal(0.02, 0.03), open=max(0.0, normal(-0.02, 0.045)),
        gaze=normal(0, 0.2, 2), lid=u(0.85, 1.1), raised=normal(0, 0.015), blur=u(0.2, 0.8), noise=u(1, 4),
    )  # fmt: skip


def _ellipse(x: float, y: float, width: float, height: float, power: float = 2.0) -> np.ndarray:
    """Outline (28, 2) around (x, y) with half axes width and height; a higher power is squarer."""
    corner = np.stack((np.cos(TURN), np.sin(TURN)), 1)
    return (x, y) + np.sign(corner) * np.abs(corner) ** (2 / power) * (width, height)


def _arc(x: float, y: float, width: float, bend: float, tilt: float = 0.0) -> np.ndarray:
    """A line (9, 2) from x - width to x + width whose middle lies `bend` above its ends."""
    t = np.linspace(-1, 1, 9)
    return np.stack((x + width * t, y + tilt * width * t - bend * (1 - t * t)), 1)


def _ribbon(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    return np.concatenate((upper, lower[::-1]))


class _Pen:
    """Draws outlines of the face where the shot's camera sees them, and collects soft shadows for later."""

    def __init__(self, person: Traits, shot: Traits, background: Image.Image):
        self.picture = background.resize((SIDE * FINE,) * 2, Image.Resampling.BILINEAR)
        self.canvas = ImageDraw.Draw(self.picture)
        self.shade = Image.new("L", (SIDE // FINE,) * 2, 128)  # 128 leaves the light as it is
        self.shader = ImageDraw.Draw(self.shade)
        self.width, self.scale, self.middle = person.width, shot.scale, shot.middle
        self.turns = [(np.cos(angle), np.sin(angle)) for angle in (shot.yaw, shot.pitch, shot.roll)]

    def project(self, outline: np.ndarray, lift: float) -> np.ndarray:
        """Points (n, 2) of the face in pixels (n, 2); `lift` is how far they stand out of the ellipsoid."""
        (cos_yaw, sin_yaw), (cos_pitch, sin_pitch), (cos_roll, sin_roll) = self.turns
        x, y = outline.T
        z = 0.75 * np.sqrt(np.maximum(1 - (x / self.width / 1.1) ** 2 - (y / 1.1) ** 2, 0)) + lift
        x, z = x * cos_yaw + z * sin_yaw, z * cos_yaw - x * sin_yaw
        y = y * cos_pitch + z * sin_pitch
        points = np.array((cos_roll * x - sin_roll * y, sin_roll * x + cos_roll * y))
        return self.middle + self.scale * points.T

    def fill(self, outline: np.ndarray, colour: np.ndarray, lift: float = 0.0) -> None:
        self.canvas.polygon(_flat(self.project(outline, lift) * FINE), _ink(colour))

    def line(self, outline: np.ndarray, colour: np.ndarray, width: float, lift: float = 0.0) -> None:
        """`width` in pixels of the photo."""
        points = _flat(self.project(outline, lift) * FINE)
        self.canvas.line(points, _ink(colour), max(1, round(width * FINE)), joint="curve")

    def soften(self, outline: np.ndarray, level: float, lift: float = 0.0) -> None:
        """Multiply the light by about `level` inside the outline, with blurred borders."""
        self.shader.polygon(_flat(self.project(outline, lift) / FINE), round(128 * level))


def _flat(points: np.ndarray) -> list[float]:
    return points.ravel().tolist()


def _ink(colour: np.ndarray) -> tuple[int, ...]:
    return tuple(int(level) for level in np.clip(colour, 0, 255))


def _background(rng: np.random.Generator) -> Image.Image:
    """A few blurred patches of colour, as 6 x 6 pixels to be enlarged."""
    colour = rng.uniform(50, 210) + rng.normal(0, 22, 3)
    return Image.fromarray(to_bytes(colour + rng.normal(0, 22, (6, 6, 1)) + rng.normal(0, 6, (6, 6, 3))))


def _back_hair(pen: _Pen, person: Traits, shot: Traits) -> None:
    if person.bald:
        return
    top, bottom, side = -1 - person.volume, max(person.length, 0.1), person.width + 0.6 * person.volume
    squareness = 2.6 if person.length > 0.5 else 2.0
    pen.fill(_ellipse(0, (top + bottom) / 2, side, (bottom - top) / 2, squareness), person.hair * 0.75, -0.3)


def _body(pen: _Pen, person: Traits, shot: Traits) -> None:
    neck = person.width * 0.62
    throat = np.array(((-neck, 0.4), (neck, 0.4), (neck * 1.15, 1.6), (-neck * 1.15, 1.6)))
    pen.fill(throat, person.skin * 0.84, -0.2)
    pen.fill(_ellipse(0, 2.15, 1.5, 0.9, 2.5), person.cloth, -0.2)


def _head(pen: _Pen, person: Traits, shot: Traits) -> None:
    for side in (-1, 1):
        pen.fill(_ellipse(side * person.width, 0.05, 0.08, person.ears), person.skin * 0.86, -0.1)
    upper, jaw = _ellipse(0, 0, person.width, 1), _ellipse(0, 0, person.width, 1, person.chin)
    below = jaw[:, 1] > 0
    jaw[:, 0] *= 1 - (1 - person.jaw) * np.clip(jaw[:, 1] / 0.8, 0, 1) ** 1.5
    pen.fill(np.where(below[:, None], jaw, upper), person.skin)
    pen.soften(_ellipse(0, 1.1, person.width * 0.55, 0.14), 0.72)
    if person.beard:
        t = np.linspace(-1, 1, 15)
        edge = np.stack((t * person.width * 0.95, person.mouth_y - 0.13 - (person.mouth_y - 0.2) * t**4), 1)
        mix, below = 0.35 + 0.6 * person.beard, jaw[:, 1] > 0.15
        pen.fill(np.concatenate((edge, jaw[below])), (1 - mix) * person.skin + mix * person.hair)


def _eyes(pen: _Pen, person: Traits, shot: Traits) -> None:
    pink, lash = person.skin * (0.8, 0.62, 0.6), DARK + 0.12 * person.hair
    width, height = person.eye_w, person.eye_h * shot.lid
    for side in (-1, 1):
        x, y, tilt = side * person.eye_x, person.eye_y, side * person.slant * 0.6
        pen.soften(_ellipse(x, y - 0.04, width * 1.5, 0.14), 0.7)
        upper, lower = _arc(x, y, width, height, tilt), _arc(x, y, width, -height * 0.75, tilt)
        pen.fill(_ribbon(upper, lower), np.array((236.0, 230, 226)))
        look = np.array((x, y)) + shot.gaze * (width * 0.45, height * 0.4)
        iris = np.clip(_ellipse(*look, 0.072, 0.072), (-2, y - height), (2, y + height * 0.75))  # under the lids
        pen.fill(iris, person.iris)
        pen.fill(_ellipse(*look, 0.036, 0.036), DARK * 0.5)
        pen.fill(_ellipse(look[0] - 0.02, look[1] - 0.02, 0.012, 0.012), np.full(3, 250.0))
        pen.line(upper, lash, 2.4)
        pen.line(lower, pink * 0.8, 1.0)
        pen.line(_arc(x, y - 0.05, width * 1.05, height, tilt), person.skin * 0.62, 1.0)


def _brows(pen: _Pen, person: Traits, shot: Traits) -> None:
    colour = 0.25 * person.skin + 0.75 * person.hair * 0.7
    for side in (-1, 1):
        x, y = side * person.eye_x * 1.05, person.eye_y - person.brow_y - shot.raised
        upper = _arc(x, y, person.brow_w, person.brow_arch + person.brow_h, side * person.brow_tilt)
        pen.fill(_ribbon(upper, _arc(x, y, person.brow_w, person.brow_arch, side * person.brow_tilt)), colour)


def _nose(pen: _Pen, person: Traits, shot: Traits) -> None:
    y, width, lit = person.nose_y, person.nose_w, np.sign(shot.light[0])
    bridge = np.array(((0.05, person.eye_y), (0.14, person.eye_y), (width * 1.05, y), (0.05, y)))
    pen.soften(bridge * (-lit, 1), 0.8, 0.1)
    pen.soften(np.array(((-0.04, person.eye_y), (0.04, person.eye_y), (0.05, y), (-0.05, y))), 1.14, 0.2)
    pen.soften(_ellipse(0, y + 0.09, width * 1.1, 0.05), 0.72, 0.1)
    pen.fill(_ellipse(0, y, person.nose_bulb, person.nose_bulb), person.skin * 1.05, 0.22)
    for side in (-1, 1):
        pen.line(_arc(side * width * 0.92, y + 0.02, 0.035, 0.03, side * 1.2), person.skin * 0.62, 1.4, 0.1)
        pen.fill(_ellipse(side * width * 0.48, y + 0.06, width * 0.26, 0.028), person.skin * 0.3, 0.16)


def _mouth(pen: _Pen, person: Traits, shot: Traits) -> None:
    y, width, lip, gap = person.mouth_y, person.mouth_w * (1 + 2 * shot.smile), person.lip, shot.open
    red = (1 - person.lip_red) * person.skin * 0.78 + person.lip_red * np.array((165.0, 60, 66))
    line, lower = _arc(0, y, width, -shot.smile), _arc(0, y, width, -shot.smile - gap)
    bow = _arc(0, y, width, lip - shot.smile) + np.array((0, 0.02)) * (np.arange(9) == 4)[:, None]
    pen.soften(_ellipse(0, y + lip * 2 + gap + 0.05, width * 0.6, 0.04), 0.8)
    pen.fill(_ribbon(bow, line), red * 0.85)
    pen.fill(_ribbon(lower, _arc(0, y, width * 0.95, -shot.smile - gap - lip * 1.3)), red)
    if gap > 0.02:
        pen.fill(_ribbon(line, lower), DARK)
        pen.fill(_ribbon(line, _arc(0, y, width * 0.8, -shot.smile - gap * 0.6)), np.array((226.0, 220, 210)))
    pen.line(line, red * 0.35, 1.8)
    if person.moustache:
        top, bottom = _arc(0, y - 0.04, width * 1.1, 0.12), _arc(0, y - 0.03, width, 0.02)
        pen.fill(_ribbon(top, bottom), person.hair * 0.8)


def _marks(pen: _Pen, person: Traits, shot: Traits) -> None:
    for x, y in person.spots if person.freckles else ():
        pen.fill(_ellipse(x, y, 0.011, 0.011), person.skin * (0.88, 0.8, 0.76))
    if person.mole is not None:
        pen.fill(_ellipse(*person.mole, 0.028, 0.028), person.skin * 0.4)
    for side in (-1, 1):
        pen.soften(_ellipse(side * person.eye_x * 1.1, 0.2, 0.13, 0.1), 1.08)


def _front_hair(pen: _Pen, person: Traits, shot: Traits) -> None:
    if person.bald:
        return
    angle = np.linspace(np.pi * 1.04, np.pi * 1.96, 15)  # from one temple over the crown to the other
    crown = np.stack((np.cos(angle) * (person.width + 0.06), np.sin(angle) * (1 + person.volume)), 1)
    t = np.linspace(1, -1, 15)
    wave = person.fringe * np.abs(t - person.parting) - 0.06 * np.cos(6 * t)
    line = np.stack((t * person.width * 0.98, person.hairline + wave + 0.5 * t**4), 1)
    pen.fill(np.concatenate((crown, line)), person.hair)
    for inset, tone in ((0.95, 0.8), (0.88, 1.15), (0.81, 0.85), (0.74, 1.2)):  # strands
        pen.line(crown[2:13] * (inset, inset), person.hair * tone, 1.2)
    pen.soften(_ribbon(line, line + np.array((0, 0.08))), 0.82)


def _glasses(pen: _Pen, person: Traits, shot: Traits) -> None:
    if not person.glasses:
        return
    x, y, size = person.eye_x, person.eye_y, person.rim_size
    for side in (-1, 1):
        rim = _ellipse(side * x, y + 0.02, size, size * 0.8, person.rim_round)
        pen.line(np.concatenate((rim, rim[:2])), person.rim, 1.6, 0.08)
        pen.line(np.array(((side * (x + size), y), (side * person.width, -0.1))), person.rim, 1.4)
    pen.line(_arc(0, y, x - size, 0.03), person.rim, 1.6, 0.12)


def _photograph(pen: _Pen, person: Traits, shot: Traits, rng: np.random.Generator) -> Image.Image:
    """The drawing under the shot's light and through its camera: soft shadows, blur, noise."""
    shade = pen.shade.filter(ImageFilter.GaussianBlur(2.5)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    picture = pen.picture.reduce(FINE).filter(ImageFilter.BoxBlur(shot.blur))
    light = _light(person, shot) * (shot.gain / 128) * np.asarray(shade, np.float32)
    pixels = np.asarray(picture) * light[..., None] * shot.cast.astype(np.float32)
    pixels += rng.standard_normal((SIDE, SIDE, 1), np.float32) * np.float32(shot.noise)
    return Image.fromarray(to_bytes(pixels))


def _light(person: Traits, shot: Traits) -> np.ndarray:
    """(SIDE, SIDE) float32 brightness by Lambert's law on the ellipsoid, at a quarter of the size."""
    axis = np.arange(2, SIDE, 4)
    x = (axis[None, :] - shot.middle[0]) / shot.scale / person.width / 1.15
    y = (axis[:, None] - shot.middle[1]) / shot.scale / 1.15
    z = np.sqrt(np.clip(1 - x * x - y * y, 0.04, 1))
    light_x, light_y, light_z = shot.light / np.linalg.norm(shot.light)
    lambert = np.maximum(x * light_x + y * light_y + z * light_z, 0) / np.sqrt(x * x + y * y + z * z)
    field = Image.fromarray((shot.ambient + (1 - shot.ambient) * lambert).astype(np.float32))
    return np.asarray(field.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
