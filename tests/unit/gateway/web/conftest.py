"""A control plane, built once because compiling its templates takes most of a test's time."""

import pytest

from tests.support.gateway_fakes import FakedGateway, make_gateway
from tests.unit.gateway.web.admin_desk import AdminDesk, make_desk


@pytest.fixture(scope="session")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> FakedGateway:
    return make_gateway(tmp_path_factory.mktemp("gateway"))


@pytest.fixture
def gateway(shared_gateway: FakedGateway) -> FakedGateway:
    shared_gateway.reset()
    return shared_gateway


@pytest.fixture(scope="session")
def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> AdminDesk:
    return make_desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def desk(shared_desk: AdminDesk) -> AdminDesk:
    shared_desk.reset()
    return shared_desk
