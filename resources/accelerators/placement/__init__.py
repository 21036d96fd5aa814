"""Which devices will do (constraints) and which of them are taken (policies)."""
