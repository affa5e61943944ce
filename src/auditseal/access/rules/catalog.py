"""All rules, by subject. Their texts are what `policy lint` prints and what their pages begin with."""

from __future__ import annotations

from typing import Final

from auditseal.access.rules.rule import Rule, Severity

WILDCARD_KEY: Final = Rule(
    id="wildcard-key",
    severity=Severity.HIGH,
    title="signing is allowed on more than one key",
    why="The role may sign with every key that the pattern covers, those of other systems and those made later too.",
    fix="Name the one key's ARN as Resource.",
)
ALIAS_AS_RESOURCE: Final = Rule(
    id="alias-as-resource",
    severity=Severity.HIGH,
    title="an alias stands as Resource for the use of a key",
    why="An alias ARN covers the alias itself, not the key behind it: the statement allows no use of any key.",
    fix="Name the key's ARN as Resource; to ask for the alias as well, add a kms:RequestAlias condition.",
)
WRONG_FAMILY: Final = Rule(
    id="wrong-family",
    severity=Severity.HIGH,
    title="the action does not fit the key",
    why="Sign and Verify fail on an HMAC key, GenerateMac and VerifyMac on any other: the signer cannot sign.",
    fix="Allow GenerateMac for an HMAC key, Sign for an asymmetric one.",
)
BOTH_FAMILIES: Final = Rule(
    id="both-families",
    severity=Severity.MEDIUM,
    title="one statement allows Sign and GenerateMac",
    why="No key does both, so one of the two is never needed, and one condition cannot pin both algorithms.",
    fix="Keep the action that fits the key.",
)
MIXED_FAMILIES: Final = Rule(
    id="mixed-families",
    severity=Severity.HIGH,
    title="a condition denies some of the statement's actions",
    why="A condition key that an action does not have is absent from its requests: the statement never applies to it.",
    fix="Give each family of actions a statement of its own, with the conditions that its actions have.",
)
UNKNOWN_CONDITION_KEY: Final = Rule(
    id="unknown-condition-key",
    severity=Severity.HIGH,
    title="the condition key does not exist for these actions",
    why="A key that is never in the request makes an Allow without effect, and a negated condition always true.",
    fix="Use a condition key that the actions have; the Service Authorization Reference lists them.",
)
DEPRECATED_CONDITION_KEY: Final = Rule(
    id="deprecated-condition-key",
    severity=Severity.LOW,
    title="the condition key is deprecated",
    why="AWS keeps the old name for a while, and its values lack the newer key specs.",
    fix="Use the new name.",
)
UNKNOWN_VALUE: Final = Rule(
    id="unknown-value",
    severity=Severity.HIGH,
    title="the condition asks for a value that does not exist",
    why="No request ever has this value: an Allow is without effect, a Deny of all else denies everything.",
    fix="Use a value from the KMS API Reference, such as ED25519_SHA_512, or a form that the key can have.",
)
UNKNOWN_OPERATOR: Final = Rule(
    id="unknown-operator",
    severity=Severity.HIGH,
    title="the condition operator does not exist",
    why="IAM refuses the policy when it is put in place.",
    fix="Use an operator from the IAM User Guide, such as StringEquals.",
)
SINGLE_VALUED_OPERATOR: Final = Rule(
    id="single-valued-operator",
    severity=Severity.HIGH,
    title="a key with several values is compared as if it had one",
    why="Without ForAnyValue or ForAllValues a list never equals a text: the condition does not hold.",
    fix="Write ForAnyValue: before the operator.",
)
SET_OPERATOR_ON_SINGLE: Final = Rule(
    id="set-operator-on-single",
    severity=Severity.MEDIUM,
    title="a key with one value is compared as a list",
    why="ForAllValues is true when the key is absent, and AWS advises against set operators on such keys.",
    fix="Remove ForAllValues: or ForAnyValue: from the operator.",
)
FOR_ALL_VALUES: Final = Rule(
    id="for-all-values",
    severity=Severity.HIGH,
    title="ForAllValues allows requests without the key",
    why="ForAllValues is true when the key is absent: a key without any alias, a request without tags, is let through.",
    fix='Use ForAnyValue, or add {"Null": {"the key": "false"}} beside it.',
)
VIA_SERVICE: Final = Rule(
    id="via-service",
    severity=Severity.HIGH,
    title="kms:ViaService is required of direct signing",
    why="kms:ViaService is absent when a program calls KMS itself: the statement never applies to a direct signer.",
    fix="Remove the kms:ViaService condition from statements that allow signing.",
)
UNPINNED_ALGORITHM: Final = Rule(
    id="unpinned-algorithm",
    severity=Severity.MEDIUM,
    title="the algorithm is not pinned",
    why="Whoever holds the role can have signatures made in any way the key allows, such as another padding.",
    fix="Add StringEquals on kms:SigningAlgorithm and kms:MessageType for Sign, on kms:MacAlgorithm for GenerateMac.",
)
SIGNER_ADMINISTERS: Final = Rule(
    id="signer-administers",
    severity=Severity.HIGH,
    title="who signs may also change the key",
    why="One stolen role is then enough to sign and to hand the key on, disable it, or point its alias elsewhere.",
    fix="Leave the administration of the key to a role that cannot sign.",
)
BYPASS_LOCKOUT: Final = Rule(
    id="bypass-lockout",
    severity=Severity.HIGH,
    title="the lock-out safety check may be bypassed",
    why="A key policy put in place so can leave nobody who may ever change it again.",
    fix="Remove the statement, or turn it into a Deny.",
)
MORE_THAN_SIGNING: Final = Rule(
    id="more-than-signing",
    severity=Severity.LOW,
    title="a signer may do more than sign",
    why="A signer calls Sign or GenerateMac alone; verifiers, exporters and health checks have roles of their own.",
    fix="Move Verify, VerifyMac and GetPublicKey to the roles that need them.",
)
LIST_NOT_NEEDED: Final = Rule(
    id="list-not-needed",
    severity=Severity.LOW,
    title="listing keys or aliases is not needed",
    why="Neither signing nor verifying lists anything, and a list shows an intruder what else there is.",
    fix="Remove kms:ListKeys and kms:ListAliases.",
)
NOT_ACTION: Final = Rule(
    id="not-action",
    severity=Severity.HIGH,
    title="NotAction allows everything but a few actions",
    why="All other actions are allowed, those that AWS adds later among them.",
    fix="List the allowed actions under Action.",
)
NOT_RESOURCE: Final = Rule(
    id="not-resource",
    severity=Severity.HIGH,
    title="NotResource allows everything but a few resources",
    why="All other keys are covered, those made later among them.",
    fix="Name the key's ARN under Resource.",
)
NOT_PRINCIPAL: Final = Rule(
    id="not-principal",
    severity=Severity.HIGH,
    title="NotPrincipal is used",
    why="With Allow it admits the whole world but one; with Deny it hits the sessions of the very roles it spares.",
    fix="Use Principal, and an aws:PrincipalArn condition where a Deny has exceptions.",
)
OPEN_PRINCIPAL: Final = Rule(
    id="open-principal",
    severity=Severity.HIGH,
    title="everybody is allowed",
    why='Principal "*" names every account of AWS, and nothing in the statement says which callers are meant.',
    fix="Name the role, or add a condition on aws:PrincipalOrgID, kms:CallerAccount or aws:PrincipalArn.",
)
CONFUSED_DEPUTY: Final = Rule(
    id="confused-deputy",
    severity=Severity.HIGH,
    title="an AWS service is allowed for any customer",
    why="Somebody else can have the service use this key on their behalf.",
    fix="Add a condition on aws:SourceArn or aws:SourceAccount.",
)
LOCK_OUT: Final = Rule(
    id="lock-out",
    severity=Severity.HIGH,
    title="nobody may change the key policy",
    why="Only AWS Support can get such a key back.",
    fix="Allow kms:* to the account root, or kms:PutKeyPolicy to an administrator's role.",
)
NO_ACCOUNT_ROOT: Final = Rule(
    id="no-account-root",
    severity=Severity.MEDIUM,
    title="the key policy does not hand over to the account",
    why="IAM policies have no effect on the key, and if the named administrators are deleted the key is out of reach.",
    fix='Add an Allow of kms:* for the account root, "arn:aws:iam::ACCOUNT:root".',
)
INERT: Final = Rule(
    id="inert-statement",
    severity=Severity.MEDIUM,
    title="the statement has no effect",
    why="AWS accepts it and it never applies, so it protects or permits nothing of what it seems to.",
    fix="Complete it or remove it.",
)
UNKNOWN_ACTION: Final = Rule(
    id="unknown-action",
    severity=Severity.HIGH,
    title="the action does not exist",
    why="A misspelt action allows nothing and, in a Deny, forbids nothing.",
    fix="Correct the name; the Service Authorization Reference lists them all.",
)
ONE_SIDE: Final = Rule(
    id="one-side",
    severity=Severity.MEDIUM,
    title="only one side of a cross-account permission is here",
    why="Another account needs both the key policy and an IAM policy of its own: with one alone every call is denied.",
    fix="Write the other side, and lint both files in one call.",
)
DENY_BREAKS_SIGNER: Final = Rule(
    id="deny-breaks-signer",
    severity=Severity.HIGH,
    title="a Deny takes away what is allowed",
    why="An explicit Deny wins over every Allow: the role cannot do what it is there for.",
    fix="Narrow the Deny by its actions, or by an aws:PrincipalArn condition.",
)
BLIND_TRAIL: Final = Rule(
    id="blind-trail",
    severity=Severity.HIGH,
    title="the trail does not record signatures",
    why="Sign and GenerateMac are read-only management events of KMS: this trail sees none, and so no misuse.",
    fix="Record read and write management events and do not exclude kms.amazonaws.com.",
)
PLACEHOLDER: Final = Rule(
    id="placeholder",
    severity=Severity.HIGH,
    title="a placeholder was left in",
    why="The text of a template names no real resource: an Allow is without effect, a Deny as well.",
    fix="Put the real value in.",
)

RULES: Final[dict[str, Rule]] = {
    rule.id: rule
    for rule in sorted(
        (value for value in list(globals().values()) if isinstance(value, Rule)), key=lambda rule: rule.id
    )
}
"""All rules by id."""
