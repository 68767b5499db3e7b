"""Every measurement, one after another."""

from tests.bench import card, relay, revocation, trust

if __name__ == "__main__":
    for measure in (card.main, relay.main, revocation.main, trust.main):
        measure()
        print(flush=True)
