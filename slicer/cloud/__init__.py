"""The service behind the API: orders carried out, kept over restarts and told by callbacks."""
