"""H.264 that announces whatever one likes (ITU-T H.264, 7.3): a sequence, a picture and the beginning of a slice, nothing more."""

from __future__ import annotations


def _ue(value: int) -> str:
    bits = bin(value + 1)[2:]
    return "0" * (len(bits) - 1) + bits


def _nal(header: int, bits: str) -> bytes:
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    body = bytearray()
    for byte in (int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)):
        if body[-2:] == b"\0\0" and byte <= 3:
            body.append(3)
        body.append(byte)
    return bytes([header]) + bytes(body)


def nals(width: int, height: int, refs: int = 1) -> list[bytes]:
    """Parameter sets of a stream of that size in pixels (multiples of 16), baseline, and a key frame that breaks off."""
    size = _ue(width // 16 - 1) + _ue(height // 16 - 1)
    sequence = f"{66:08b}{0:08b}{62:08b}" + _ue(0) + _ue(0) + _ue(2) + _ue(refs) + "0" + size + "1" + "1" + "0" + "0"
    picture = _ue(0) + _ue(0) + "00" + _ue(0) + _ue(0) + _ue(0) + "0" + "00" + _ue(0) * 3 + "100"
    slice_ = _ue(0) + _ue(7) + _ue(0) + "0000" + _ue(0) + "00" + _ue(0) + _ue(0) + (_ue(3) + "1" + _ue(0) + "1") * 200
    return [_nal(0x67, sequence), _nal(0x68, picture), _nal(0x65, slice_)]


def annex_b(width: int, height: int, frames: int = 100, refs: int = 1) -> bytes:
    """The same as a byte stream."""
    return b"".join(b"\0\0\0\1" + nal for nal in nals(width, height, refs)) * frames


def rtp(width: int, height: int, frames: int = 100, refs: int = 1) -> bytes:
    """The same as interleaved RTP packets (RFC 6184, single NAL unit) on channel 0."""
    stream, number = b"", 0
    for frame in range(frames):
        units = nals(width, height, refs)
        for index, nal in enumerate(units):
            marker = 0x80 if index == len(units) - 1 else 0
            packet = (
                bytes([0x80, 96 | marker]) + number.to_bytes(2, "big") + (frame * 9000).to_bytes(4, "big") + b"\0\0\0\1" + nal
            )
            stream += b"$\0" + len(packet).to_bytes(2, "big") + packet
            number += 1
    return stream
