"""The served image formats, and those that are not, recognised by a file's first bytes."""

from worker.decode import isobmff

FORMATS = ("JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF", "HEIC")
MIME_TYPES = {name: f"image/{name.lower()}" for name in FORMATS}
STARTS = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}
# Formats that clients send and are not served, so that the error can name them.
OTHERS = {
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    "JPEG XL": (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
    "JPEG XR": (b"II\xbc\x01", b"II\xbc\0"),
    "Photoshop (PSD)": (b"8BPS",),
    "icon (ICO)": (b"\0\0\1\0",),
    "cursor (CUR)": (b"\0\0\2\0",),
    "icon (ICNS)": (b"icns",),
    "DDS": (b"DDS ",),
    "PNM": tuple(b"P%c" % kind + space for kind in b"1234567" for space in (b"\n", b" ", b"\r", b"\t")),
    "PFM": (b"PF\n", b"Pf\n"),
    "PCX": tuple(b"\x0a%c\x01" % version for version in (0, 2, 3, 4, 5)),
    "SGI": (b"\x01\xda",),
    "Sun raster": (b"\x59\xa6\x6a\x95",),
    "XPM": (b"/* XPM */",),
    "XBM": (b"#define ",),
    "QOI": (b"qoif",),
    "Radiance (HDR)": (b"#?RADIANCE", b"#?RGBE"),
    "OpenEXR": (b"\x76\x2f\x31\x01",),
    "FITS": (b"SIMPLE  =",),
    "FLIF": (b"FLIF",),
    "BPG": (b"BPG\xfb",),
    "MNG": (b"\x8aMNG\r\n\x1a\n",),
    "DjVu": (b"AT&TFORM",),
    "WMF": (b"\xd7\xcd\xc6\x9a",),
    "EMF": (b"\x01\0\0\0\x58\0\0\0", b"\x01\0\0\0\x6c\0\0\0"),
    "Panasonic raw": (b"IIU\0",),
    "Olympus raw": (b"IIRO", b"IIRS", b"MMOR"),
    "Fujifilm raw": (b"FUJIFILMCCD-RAW",),
    "PDF": (b"%PDF-",),
    "PostScript": (b"%!PS", b"\xc5\xd0\xd3\xc6"),
    "SVG": (b"<svg", b"<?xml"),
    "HTML": (b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML"),
    "JSON": (b'{"', b"{\n", b"[{", b'["'),
    "base64 text": (b"/9j/", b"iVBORw0KGgo", b"R0lGOD", b"UklGR", b"data:image/"),
    "ZIP": (b"PK\3\4",),
    "gzip": (b"\x1f\x8b",),
    "NumPy": (b"\x93NUMPY",),
    "HDF5": (b"\x89HDF\r\n\x1a\n",),
    "WebM or Matroska video": (b"\x1a\x45\xdf\xa3",),
}
DICOM, DICOM_START = b"DICM", 128
TGA_END = b"TRUEVISION-XFILE.\0"


def sniff(data: bytes) -> str | None:
    """Return the served format whose signature `data` starts with, or None; names and declared types prove nothing."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    found = isobmff.image_format(data)
    if found:
        return found if found in FORMATS else None
    return _starting(data, STARTS)


def foreign(data: bytes) -> str | None:
    """Return the name of the format of `data`, which is not served, or None if it is not known here either."""
    if data.startswith(b"RIFF"):
        return "AVI video" if data[8:11] == b"AVI" else None
    if data[DICOM_START:].startswith(DICOM):
        return "DICOM"
    if data.endswith(TGA_END):
        return "TGA"
    return isobmff.image_format(data) or _starting(data.removeprefix(b"\xef\xbb\xbf").lstrip(), OTHERS)


def _starting(data: bytes, starts: dict[str, tuple[bytes, ...]]) -> str | None:
    return next((kind for kind, known in starts.items() if data.startswith(known)), None)
