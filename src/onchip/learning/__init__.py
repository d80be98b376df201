"""The engine of learning rules, and the parts that they are composed of."""
