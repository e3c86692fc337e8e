"""The widget's HTML: recorded titles, hidden fields and script variables, without the rest."""

from html import escape

from dev.simulator.words import Outcome

EMBED = """<html>
<head><title>GAuth Embedded Version</title></head>
<body><div id="gauth-widget"></div></body>
</html>
"""
LOGIN_ERROR = '<div id="status" class="error">{message}</div>'
SIGN_IN = """<!DOCTYPE html>
<html lang="en" class="no-js">
<head>
<title>GARMIN Authentication Application</title>
<script type="text/javascript">
var parent_url = "{service_js}";
var status = "{status}";
var result = "{result}";
var clientId = '';
var embedWidget = true;
</script>
</head>
<body>
<div id="GAuth-component"><div id="login-component" class="blueForm-basic">
<form method="post" id="login-form">
<div class="form-alert">{error}</div>
<input class="login_email" name="username" id="username" value="{username}" type="email"/>
<input type="password" name="password" id="password"/>
<input type="hidden" name="embed" value="true"/>
<input type="hidden" name="_csrf" value="{csrf}" />
<button type="submit" id="login-btn-signin" class="btn1">Sign In</button>
</form>
</div></div>
</body>
</html>
"""
CODE = """<!DOCTYPE html>
<html lang="en" class="no-js">
<head>
<script type="text/javascript">
    var embedWidget = "true";
    var parent_url = "{service_js}";
    var customerGuid = "{guid}";
    var mfaMethod = "{method}";
    var locale = "";
    var clientId = "";
    var codeSentTo = "{sent_to}";
</script>
<title>{title}</title>
</head>
<body>
<div id="GAuth-component">
<h2 id="enter-mfa-code-h2">Enter security code</h2>
<div id="login-component" class="blueForm-basic"><div id="login-state-verifymfa">
{sent}
<form id="submit-mfa-verification-code-form" method="post" novalidate="novalidate">
<div class="form-alert">
<div id="genericError" class="error" hidden>Something went wrong.</div>
<div id="codeSentAttention" class="attention" hidden>Another code is on its way.</div>
{error}
</div>
<input type="number" pattern="[0-9]*" maxlength="6" id="mfa-code" name="mfa-code"/>
<a href="#" id="newCode">Request a new code</a>
<button type="submit" id="mfa-verification-code-submit" class="btn1">Next</button>
<input type="hidden" name="embed"            value="true"/>
<input type="hidden" name="_csrf"            value="{csrf}" />
<input type="hidden" name="fromPage"            value="setupEnterMfaCode"/>
</form>
</div></div></div>
</body>
</html>
"""
SUCCESS = """<!DOCTYPE html>
<html class="no-js">
<head>
<title>Success</title>
<script type="text/javascript">
var redirectAfterAccountLoginUrl = "{service_js}";
var consumeServiceTicket = "true";
var service_url = "{service_js}";
var parent_url = "{service_js}";
var response_url = "{service_js}?ticket={ticket}";
var logintoken = "{login_token}";
</script>
</head>
<body><div id="GAuth-component"></div></body>
</html>
"""
CHOOSE_METHOD = """<!DOCTYPE html>
<html lang="en" class="no-js">
<head>
<script type="text/javascript">
    var customerGuid = "{guid}";
    var mfaMethod = "";
    var codeSentTo = "";
</script>
<title>Choose MFA method</title>
</head>
<body><div id="GAuth-component"><form method="post">
<input type="radio" name="mfaMethod" value="email"/>
<input type="radio" name="mfaMethod" value="sms"/>
</form></div></body>
</html>
"""
NOTICE = """<!DOCTYPE html>
<html lang="en" class="no-js">
<head>
<title>{title}</title>
<script type="text/javascript">
var status = "{status}";
</script>
</head>
<body><div id="GAuth-component"><div class="notice">{message}</div></div></body>
</html>
"""


def sign_in(service: str, csrf: str, *, username: str = "", error: str = "") -> str:
    """The sign-in form, as it first appears or with an error."""
    return SIGN_IN.format(
        service_js=_js(service),
        status="FAIL" if error else "",
        result="error" if error else "",
        error=LOGIN_ERROR.format(message=escape(error)) if error else "",
        username=escape(username),
        csrf=csrf,
    )


def code(
    service: str, title: str, *, guid: str, method: str, sent_to: str, csrf: str, error_id: str = ""
) -> str:
    """The form for the code. With an error, Garmin leaves `_csrf` empty."""
    sent = f"<span >Code sent to <b>{escape(sent_to)}</b></span>" if sent_to else ""
    return CODE.format(
        service_js=_js(service),
        title=escape(title),
        guid=guid,
        method=method,
        sent_to=escape(sent_to),
        sent=sent,
        csrf="" if error_id else csrf,
        error=_code_errors(error_id),
    )


def success(service: str, ticket: str, login_token: str = "") -> str:
    return SUCCESS.format(service_js=_js(service), ticket=ticket, login_token=login_token)


def notice(title: str, message: str, status: str = "") -> str:
    return NOTICE.format(title=escape(title), message=escape(message), status=status)


def choose_method(guid: str) -> str:
    """A page that has to be answered before any code is sent. Nobody has recorded it."""
    return CHOOSE_METHOD.format(guid=guid)


CODE_ERROR_IDS = {
    Outcome.WRONG: "invalidCode",
    Outcome.WRONG_WITHOUT_VERDICT: "invalidCode",
    Outcome.EXPIRED: "expiredCode",
    Outcome.NO_MORE_CODES: "maxLimit",
}
_CODE_ERRORS = {
    "invalidCode": "That code is not right.",
    "expiredCode": "That code is too old.",
    "maxLimit": "No more codes today.",
}


def _code_errors(shown: str) -> str:
    """The form's errors: the one shown, and that of the limit, which is always there."""
    limit = f'<div id="maxLimit" class="error" hidden="hidden">{_CODE_ERRORS["maxLimit"]}</div>'
    if not shown:
        return limit
    error = f'<div id="{shown}" class="error">{_CODE_ERRORS[shown]}</div>'
    return error if shown == "maxLimit" else f"{error}\n{limit}"


def _js(url: str) -> str:
    return url.replace("/", "\\/")
