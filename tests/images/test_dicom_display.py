"""What a stored value of DICOM is shown as: rescaling, windows, tables, padding, palettes."""

from typing import Any

import numpy as np
import pytest

from replearn.images.decoding import decode
from replearn.images.picture import UnreadableImage
from tests.images.dicoms import dicom, item, table
from tests.images.helpers import Pixels

pytest.importorskip("pydicom", reason="DICOM needs replearn[dicom]")

RAMP = np.linspace(0, 4095, 256).round().astype(np.uint16).reshape(16, 16)
SIGNED = (RAMP.astype(np.int32) - 1024).astype(np.int16)
BYTES = np.arange(256, dtype=np.uint8).reshape(16, 16)


def shown(data: bytes, frame: int | None = None) -> Pixels:
    pixels: Pixels = decode(data, size=16, channels=1, fit="stretch", frame=frame)[0]
    return pixels.astype(int)


def colours(data: bytes) -> Pixels:
    return decode(data, size=16, channels=3, fit="stretch").transpose(1, 2, 0).astype(int)


def linear(values: Pixels, low: float, high: float) -> Pixels:
    return ((values.astype(float) - low) / (high - low)).clip(0, 1) * 255


def near(found: Pixels, expected: Pixels) -> bool:
    return bool(np.abs(found - expected).max() <= 0.51)


def test_eight_bits_without_a_window_keep_their_values_with_an_idle_rescaling_too() -> None:
    few = (BYTES % 21) + 100
    assert np.array_equal(shown(dicom(few)), few)
    assert np.array_equal(shown(dicom(few, RescaleSlope=1, RescaleIntercept=0)), few)
    assert np.array_equal(shown(dicom(few, RescaleSlope=2, RescaleIntercept=-1000)), few)
    assert np.array_equal(shown(dicom(few, RescaleSlope=-1, RescaleIntercept=0)), 255 - few)


@pytest.mark.parametrize("bits", [1, 4, 7])
def test_fewer_than_eight_bits_use_the_whole_range(bits: int) -> None:
    stored = (BYTES % 2**bits).astype(np.uint8)
    data = dicom(stored, BitsStored=bits, HighBit=bits - 1)
    assert near(shown(data), stored * (255 / (2**bits - 1)))


def test_single_bits_are_black_and_white() -> None:
    stored = np.packbits(BYTES[:, ::-1] % 2, bitorder="little")
    data = dicom(BYTES, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=stored.tobytes())
    assert np.array_equal(shown(data), (BYTES[:, ::-1] % 2) * 255)


@pytest.mark.parametrize(
    "empty",
    [
        {"ModalityLUTSequence": [item()]},
        {"ModalityLUTSequence": []},
        {"VOILUTSequence": [item()]},
        {"RescaleSlope": None, "RescaleIntercept": None},
        {"WindowCenter": None, "WindowWidth": None},
        {"WindowCenter": "nan", "WindowWidth": "400"},
        {"WindowCenter": "40", "WindowWidth": "-1"},
        {"PerFrameFunctionalGroupsSequence": [], "SharedFunctionalGroupsSequence": [item()]},
        {"PresentationLUTSequence": [item()]},
        {"PixelPaddingValue": None},
    ],
)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_what_is_empty_is_absent(empty: dict[str, Any]) -> None:
    assert np.array_equal(shown(dicom(RAMP, **empty)), shown(dicom(RAMP)))


@pytest.mark.parametrize("name", ["ModalityLUTSequence", "VOILUTSequence"])
@pytest.mark.parametrize("gone", [["LUTDescriptor"], ["LUTData"], ["LUTDescriptor", "LUTData"]])
def test_a_part_of_a_table_is_the_reason_of_its_file(name: str, gone: list[str]) -> None:
    made = table([0, 255], 0)
    made.LUTExplanation = "what it is for"
    for part in gone:
        delattr(made, part)
    sequence: dict[str, Any] = {name: [made]}
    data = dicom(RAMP, **sequence)
    if len(gone) == 2:
        assert np.array_equal(shown(data), shown(dicom(RAMP)))
    else:
        with pytest.raises(UnreadableImage, match=f"a part of its {name} alone"):
            shown(data)


def test_a_slope_of_zero_is_the_reason_of_its_file() -> None:
    with pytest.raises(UnreadableImage, match="RescaleSlope is 0"):
        shown(dicom(RAMP, RescaleSlope=0, RescaleIntercept=5))


def test_a_modality_table_stands_before_the_window() -> None:
    entries = [5 * value for value in range(4096)]
    window: dict[str, Any] = {"WindowCenter": 5000, "WindowWidth": 4001}
    found = shown(dicom(RAMP, ModalityLUTSequence=[table(entries, 0)], **window))
    assert near(found, linear(RAMP * 5.0, 2999.5, 6999.5))


@pytest.mark.parametrize("vr", ["OW", "US"])
def test_a_table_of_interest_shows_its_entries_and_its_ends_beyond(vr: str) -> None:
    entries = np.linspace(0, 4095, 2000).round().astype(int).tolist()
    found = shown(dicom(RAMP, VOILUTSequence=[table(entries, 1000, 12, vr)]))
    places = (RAMP.astype(int) - 1000).clip(0, 1999)
    assert near(found, np.array(entries)[places] * (255 / 4095))


def test_the_bits_of_a_table_are_those_that_it_uses_whatever_it_states() -> None:
    entries = list(range(4096))
    found = shown(dicom(RAMP, VOILUTSequence=[table(entries, 0, 16)]))
    assert near(found, RAMP * (255 / 4095))


def test_windows_may_be_exact_or_sigmoid() -> None:
    window: dict[str, Any] = {"WindowCenter": 2000, "WindowWidth": 1000}
    exact = shown(dicom(RAMP, **window, VOILUTFunction="LINEAR_EXACT"))
    assert near(exact, linear(RAMP, 1500, 2500))
    sigmoid = shown(dicom(RAMP, **window, VOILUTFunction="SIGMOID"))
    assert near(sigmoid, 255 / (1 + np.exp(-4 * (RAMP.astype(float) - 2000) / 1000)))
    assert near(shown(dicom(RAMP, **window, VOILUTFunction="LINEAR")), linear(RAMP, 1500, 2499))
    with pytest.raises(UnreadableImage, match="VOILUTFunction is CUBIC"):
        shown(dicom(RAMP, **window, VOILUTFunction="CUBIC"))


@pytest.mark.parametrize("where", ["shared", "frame"])
def test_rescaling_and_window_may_stand_with_all_frames_or_with_each(where: str) -> None:
    frames = np.stack([SIGNED, SIGNED])
    groups = [
        item(
            PixelValueTransformationSequence=[item(RescaleSlope=2, RescaleIntercept=shift)],
            FrameVOILUTSequence=[item(WindowCenter=40, WindowWidth=400)],
        )
        for shift in (0, 100)
    ]
    more: dict[str, Any]
    if where == "shared":
        more = {"SharedFunctionalGroupsSequence": groups[1:]}
        shifts = [100, 100]
    else:
        more = {
            "PerFrameFunctionalGroupsSequence": groups,
            "SharedFunctionalGroupsSequence": [
                item(FrameVOILUTSequence=[item(WindowCenter=9000, WindowWidth=2)])
            ],
        }
        shifts = [0, 100]
    for frame, shift in enumerate(shifts):
        one = dicom(
            SIGNED, RescaleSlope=2, RescaleIntercept=shift, WindowCenter=40, WindowWidth=400
        )
        assert np.array_equal(shown(dicom(frames, **more), frame), shown(one))


@pytest.mark.parametrize("sign", [1, -1])
def test_padding_does_not_count_in_the_range(sign: int) -> None:
    padded = SIGNED.copy()
    padded[0] = -2000
    found = shown(dicom(padded, PixelPaddingValue=-2000))
    inside = padded[1:]
    assert near(found[1:], linear(inside, inside.min(), inside.max()))
    assert (found[0] == 0).all()
    padded[0, :8] = -1990
    more: dict[str, Any] = {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1980}
    assert near(shown(dicom(padded, **more))[1:], found[1:])


def test_an_image_of_padding_alone_is_black() -> None:
    assert (shown(dicom(np.full((16, 16), 7, np.uint16), PixelPaddingValue=7)) == 0).all()


def test_brightness_is_inverted_once_however_often_it_is_said() -> None:
    usual = shown(dicom(RAMP))
    for kind, shape, inverted in (
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", "", True),
    ):
        found = shown(dicom(RAMP, kind, PresentationLUTShape=shape))
        assert np.array_equal(found, 255 - usual if inverted else usual)


def test_a_presentation_table_maps_what_is_shown() -> None:
    entries = np.linspace(0, 65535, 256).round().astype(int)[::-1].tolist()
    found = shown(dicom(RAMP, PresentationLUTSequence=[table(entries, 0)]))
    assert np.array_equal(found, 255 - shown(dicom(RAMP)))


def palette(entries: int, bits: int, stated: int, **more: Any) -> dict[str, Any]:
    """Return the elements of a palette: red rises, green falls, blue is constant."""
    top = 2**bits - 1
    rise = np.linspace(0, top, entries).round()
    dtype = np.uint8 if bits == 8 and stated == 8 else "<u2"
    made: dict[str, Any] = {}
    for name, values in (
        ("Red", rise),
        ("Green", rise[::-1]),
        ("Blue", np.full(entries, top // 5)),
    ):
        made[f"{name}PaletteColorLookupTableDescriptor"] = [entries % 65536, 0, stated]
        made[f"{name}PaletteColorLookupTableData"] = values.astype(dtype).tobytes()
    return made | more


@pytest.mark.parametrize(("bits", "stated"), [(8, 8), (8, 16), (16, 16)])
@pytest.mark.parametrize("entries", [256, 4096, 65536])
def test_a_palette_of_any_size_gives_its_colours(entries: int, bits: int, stated: int) -> None:
    stored = BYTES if entries == 256 else (BYTES.astype(np.uint16) * (entries // 256))
    found = colours(dicom(stored, "PALETTE COLOR", **palette(entries, bits, stated)))
    rise = stored.astype(float) / (entries - 1) * 255
    assert np.abs(found[..., 0] - rise).max() <= 1
    assert np.abs(found[..., 1] - (255 - rise)).max() <= 1
    assert (found[..., 2] == 51).all()


def test_a_segmented_palette_is_unfolded() -> None:
    # A discrete segment of one entry, then a linear one to the end.
    segments = np.array([0, 1, 0, 1, 255, 65535], "<u2").tobytes()
    elements: dict[str, Any] = {}
    for name in ("Red", "Green", "Blue"):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        elements[f"Segmented{name}PaletteColorLookupTableData"] = segments
    found = colours(dicom(BYTES, "PALETTE COLOR", **elements))
    assert np.abs(found - BYTES[..., None]).max() <= 1


def test_a_palette_that_is_missing_is_the_reason_of_its_file() -> None:
    with pytest.raises(UnreadableImage, match="PALETTE COLOR without its palette"):
        shown(dicom(BYTES, "PALETTE COLOR"))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_colours_use_the_range_that_their_header_states(bits: int) -> None:
    dtype = np.uint8 if bits == 8 else np.uint16
    stored = np.dstack([BYTES, BYTES // 2, BYTES // 4]).astype(dtype) * (2**bits // 256)
    data = dicom(stored, "RGB", BitsStored=bits, HighBit=bits - 1)
    assert np.abs(colours(data) - stored * (255 / (2**bits - 1))).max() <= 0.51


def test_colours_of_a_kind_that_is_not_known_are_named() -> None:
    with pytest.raises(UnreadableImage, match="HSV"):
        shown(dicom(np.zeros((16, 16, 3), np.uint8), "HSV"))
