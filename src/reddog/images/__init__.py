"""Platform images: the tiny Linux that machines boot from, and how VHDs get into storage."""

from reddog.images._build import TINY_NAME, build
from reddog.images._catalogue import BLANK_NAME, ImageInfo, build_blank, catalogue
from reddog.images._error import ImageError
from reddog.images._upload import account_of, upload_file, upload_vhd

__all__ = [
    "BLANK_NAME",
    "TINY_NAME",
    "ImageError",
    "ImageInfo",
    "account_of",
    "build",
    "build_blank",
    "catalogue",
    "upload_file",
    "upload_vhd",
]
