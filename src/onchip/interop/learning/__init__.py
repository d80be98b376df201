"""The group `learning` of a NIR file: the rule that trains the network, so that training goes on elsewhere."""
