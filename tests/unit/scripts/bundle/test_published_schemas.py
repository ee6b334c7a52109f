"""What we render for others, against the schemas that their projects publish; packages carry these."""

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.unit.scripts.bundle.test_bundle import bill


def test_the_bill_of_materials_is_valid_cyclonedx() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(bill()) is None
