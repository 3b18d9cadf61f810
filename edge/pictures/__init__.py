"""Pictures of slots before and after an event, in a ring that is bound by bytes and age."""
