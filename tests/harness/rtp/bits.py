"""Writes headers that are read bit by bit."""


class Bits:
    """Bits one after another, the most significant ones first."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, count: int, value: int) -> "Bits":
        """*value* in *count* bits."""
        self.text += f"{value:0{count:d}b}" if count else ""
        return self

    def number(self, *values: int) -> "Bits":
        """Each as ue(v) (ITU-T H.264 9.1)."""
        for value in values:
            digits = f"{value + 1:b}"
            self.text += "0" * (len(digits) - 1) + digits
        return self

    def data(self) -> bytes:
        """With the stop bit, and zeros up to a whole byte."""
        text = self.text + "1"
        text += "0" * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8)

    def nal(self) -> bytes:
        """A sequence parameter set of H.264, with emulation prevention (ITU-T H.264 7.4.1)."""
        out, zeros = bytearray(b"\x67"), 0
        for byte in self.data():
            if zeros == 2 and byte <= 3:
                out.append(3)
                zeros = 0
            out.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return bytes(out)
