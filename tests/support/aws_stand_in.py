"""In place of `aws`: holds a request against Amazon's own description of the service, and prints it. Nothing is sent."""

import json
import sys

import botocore
import botocore.session
from botocore.validate import ParamValidator

service, command, option, url = sys.argv[1:]
assert option == "--cli-input-json", option
with open(url.removeprefix("file://")) as file:
    request = json.load(file)
model = botocore.session.get_session().get_service_model(service)
operations = {botocore.xform_name(name, "-"): name for name in model.operation_names}
report = ParamValidator().validate(request, model.operation_model(operations[command]).input_shape)
if report.has_errors():
    sys.exit(report.generate_report())
json.dump({"operation": operations[command], "request": request}, sys.stdout)
