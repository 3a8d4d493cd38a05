"""The shell: asyncio lives here; it joins the core, the rooms and the stores."""
