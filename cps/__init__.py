"""The workstation side of the CPS gateway: card, agent, software card and test authority."""
