"""What learning hardware makes of a rule: its update in the engine's grammar, the verdict, and an interpreter."""
