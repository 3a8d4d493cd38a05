"""Tasks by id: what an embedding program holds. asyncio lives here."""
