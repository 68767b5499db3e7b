"""Every measurement, one after another."""

from tests.bench import card, relay, revocation, session_end, storm, trust

if __name__ == "__main__":
    for measure in (
        card.main,
        relay.main,
        session_end.main,
        storm.main,
        revocation.main,
        trust.main,
    ):
        measure()
        print(flush=True)
