"""For portals behind the gateway: who is there, by the gateway's signed word alone."""
