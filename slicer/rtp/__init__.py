"""Wire format and order: from datagrams to packets in their place."""
