"""The nginx engine: its configuration, generated, checked and rehearsed, and nginx as our child."""
