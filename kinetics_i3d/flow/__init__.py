"""Optical flow: methods, 8-bit coding, colour pictures; importing this does no work."""

from kinetics_i3d.flow.compute import flow_stream, optical_flow
from kinetics_i3d.flow.quantization import decode_flow, encode_flow, normalize_flow
from kinetics_i3d.flow.settings import TVL1
from kinetics_i3d.flow.visualization import beside_frame, flow_picture

__all__ = [
    "TVL1",
    "beside_frame",
    "decode_flow",
    "encode_flow",
    "flow_picture",
    "flow_stream",
    "normalize_flow",
    "optical_flow",
]
