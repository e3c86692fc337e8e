"""The profile of the person whose token was sent."""

from dev.simulator.accounts import Account
from dev.simulator.bearer import authorized
from dev.simulator.messages import Request, Response, html_response, json_response
from dev.simulator.replies import unavailable
from dev.simulator.state import State


def social_profile(state: State, request: Request) -> Response:
    """`GET /userprofile-service/socialProfile`, with a bearer token or a JWT_WEB cookie."""
    token = authorized(state, request)
    if isinstance(token, Response):
        return token
    if state.profile_fails(token.account):
        return unavailable(500)
    state.count("profiles", token.account, token.client)
    return json_response(200, profile_of(token.account), ("Cache-Control", "no-store"))


def service_page(state: State, request: Request) -> Response:
    """The page of a service that a person signs in to: redeem its ticket, set JWT_WEB."""
    service = f"https://{request.host}{request.path}"
    ticket = state.tokens.find_ticket(
        request.query.get("ticket", ""), service, request.domain, state.now()
    )
    if ticket is None:
        return html_response(200, "<html><head><title>Garmin Connect</title></head></html>")
    state.redeem(ticket)
    now = state.now()
    web = state.tokens.new_jwt(
        "jwt_web", ticket.account, ticket.client, now, now + 7200, iss="https://connect.garmin.com"
    )
    cookie = f"JWT_WEB={web.value}; Domain=.{request.domain}; Path=/; Secure; HttpOnly"
    page = "<html><head><title>Garmin Connect</title></head></html>"
    return html_response(200, page, cookies=[cookie])


def profile_of(account: Account) -> dict[str, object]:
    """The profile of an account, with all recorded fields."""
    return {
        "id": account.profile_id,
        "profileId": account.profile_id,
        "garminGUID": account.garmin_guid,
        "displayName": account.display_name,
        "fullName": account.full_name,
        "userName": account.username,
        **{f"profileImageUrl{size}": None for size in ("Large", "Medium", "Small")},
        **dict.fromkeys(_EMPTY),
        "favoriteActivityTypes": [],
        "favoriteCyclingActivityTypes": [],
        "runningTrainingSpeed": 0.0,
        "cyclingTrainingSpeed": 0.0,
        "cyclingMaxAvgPower": 0.0,
        "swimmingTrainingSpeed": 0.0,
        **dict.fromkeys(_VISIBILITIES, "private"),
        **dict.fromkeys(_SHOWN, False),
        "userRoles": ["SCOPE_CONNECT_READ", "SCOPE_CONNECT_WRITE", "ROLE_CONNECTUSER"],
        "nameApproved": True,
        "userProfileFullName": account.full_name,
        "makeGolfScorecardsPrivate": True,
        "allowGolfLiveScoring": False,
        "allowGolfScoringByConnections": True,
        "userLevel": 1,
        "userPoint": 0,
        "levelUpdateDate": "2024-01-31T12:18:59.0",
        "levelIsViewed": False,
        "levelPointThreshold": 60,
        "userPointOffset": 0,
        "userPro": False,
    }


_EMPTY = (
    "profileImageType",
    "location",
    "facebookUrl",
    "twitterUrl",
    "personalWebsite",
    "motivation",
    "bio",
    "primaryActivity",
    "cyclingClassification",
    "otherActivity",
    "otherPrimaryActivity",
    "otherMotivation",
)
_VISIBILITIES = (
    "profileVisibility",
    "activityStartVisibility",
    "activityMapVisibility",
    "courseVisibility",
    "activityHeartRateVisibility",
    "activityPowerVisibility",
    "badgeVisibility",
)
_SHOWN = (
    "showAge",
    "showWeight",
    "showHeight",
    "showWeightClass",
    "showAgeRange",
    "showGender",
    "showActivityClass",
    "showVO2Max",
    "showPersonalRecords",
    "showLast12Months",
    "showLifetimeTotals",
    "showUpcomingEvents",
    "showRecentFavorites",
    "showRecentDevice",
    "showRecentGear",
    "showBadges",
)
