"""Streams as rooms: RTMP, RTSP, HLS and FLV, read by FFmpeg and not decoded."""
