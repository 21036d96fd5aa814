"""The platform at a glance: what is there, how good it is, what ran last, and who holds which device."""
