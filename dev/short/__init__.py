"""The same programs as in production, with shorter timings, for the test suite."""

from shared.timings import Timings

SHORT = Timings(
    login_deadline=40.0,
    code_deadline=30.0,
    lease=3.0,
    lease_renewal=0.5,
    lease_renewal_retry=0.2,
    visibility_timeout=5,
    redelivery_interval=1,
    redelivery_lock=3,
    lost_message=8.0,
    retry_delay=1.0,
    unsent_job=4.0,
    challenge_reservation=30,
    redis_answer_worker=2.0,
    redis_patience_worker=20.0,
    redis_memory_pause=0.2,
    notification_silence=1.0,
    notification_reconnect=0.2,
    database_statement=5,
    database_answer=7.0,
    store_patience=2.0,
    longest_pause=1.0,
    garmin_connect=2.0,
    garmin_answer=5.0,
    garmin_retry=0.05,
    library_delays=0.0,
    delivery_interval=0.2,
    delivery_retry=0.5,
)
