"""The workstation agent: browser on one side, card and gateway on the other."""
