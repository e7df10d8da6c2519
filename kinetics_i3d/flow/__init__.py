"""Optical flow: methods, quantization to 8 bits, files and pictures.

Importing it loads no backend.
"""

from kinetics_i3d.flow.compute import flow_stream, optical_flow
from kinetics_i3d.flow.quantization import dequantize_flow, normalize_flow, quantize_flow
from kinetics_i3d.flow.settings import TVL1
from kinetics_i3d.flow.visualization import beside_frame, flow_picture

__all__ = [
    "TVL1",
    "beside_frame",
    "dequantize_flow",
    "flow_picture",
    "flow_stream",
    "normalize_flow",
    "optical_flow",
    "quantize_flow",
]
