"""RTP and RTCP: wire formats, demultiplexing, order, timing. From datagrams to packets in order."""
