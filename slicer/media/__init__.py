"""From cuts to files: Ogg, pictures, names. Bytes in, bytes out."""
