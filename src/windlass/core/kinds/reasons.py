"""The documented reasons of conditions: an enum with a sentence each. ``docs/kinds/conditions.md`` is made from it.

``Ready`` is always there. ``Reconciling`` and ``Stalled`` are there only while they are true (the kstatus convention):
Reconciling says that Windlass works or waits and will go on by itself, Stalled that a person must act.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """A reason, and what it says. Errors of rooms give theirs by the same word (``WindlassError.reason``)."""

    text: str

    def __new__(cls, word: str, text: str) -> Self:
        made = str.__new__(cls, word)
        made._value_ = word
        made.text = text
        return made

    # all is well
    SYNCED = "Synced", "Everything that the commit says is applied, and healthy."
    FETCHED = "Fetched", "The repository's newest commit is here."
    RECORDED = "Recorded", "The Installation is read, and the kinds in use are recorded."
    LEDGER_WRITTEN = (
        "LedgerWritten",
        "What happens is recorded: on disk at once, and pushed to the ledger's ref in Git.",
    )
    LEDGER_ONLY = (
        "LedgerOnly",
        "The Repository holds the ledger, and no Application uses it: it is written, not followed.",
    )
    TELLING = "Telling", "The Alert tells, or the Channel takes notices."
    IMAGE_CHOSEN = "ImageChosen", "The tag is chosen, and Git says it, or will in a moment."
    # going on by itself
    PENDING = "Pending", "Seen, not begun yet."
    FETCHING = "Fetching", "The repository is being asked for its newest commit."
    RENDERING = "Rendering", "The source is being turned into objects."
    APPLYING = "Applying", "Objects are being applied."
    PROGRESSING = "Progressing", "Everything is applied; not everything is healthy yet."
    PRUNING = "Pruning", "Objects that left Git are being deleted."
    DELETING = "Deleting", "The Application has left Git; what it applied is being deleted or released."
    RETRYING = "Retrying", "The last attempt failed in a way that may pass; the next one is set."
    REPOSITORY_NOT_READY = "RepositoryNotReady", "The Repository has no commit yet."
    DEPENDENCY_NOT_READY = "DependencyNotReady", "An Application named in dependsOn is not synced and healthy yet."
    TRY_LATER = "TryLater", "Something did not work that may work by itself later."
    CLUSTER_UNAVAILABLE = "ClusterUnavailable", "The API server did not answer or throttled."
    WRITE_CONFLICT = "WriteConflict", "An object changed while it was looked at; it is looked at again."
    OBJECT_MISSING = "ObjectMissing", "An object or its namespace is not there yet."
    KIND_UNKNOWN = "KindUnknown", "The cluster does not serve a kind; its CustomResourceDefinition may come."
    NAMESPACE_TERMINATING = (
        "NamespaceTerminating",
        "A namespace is going away; nothing can be made in it until it is gone.",
    )
    LEADERSHIP_LOST = "LeadershipLost", "Another controller leads now; this one writes no more."
    GIT_UNAVAILABLE = "GitUnavailable", "The repository could not be reached; the last good state is kept."
    BRANCH_MOVED = "BranchMoved", "Another push came first; the edit is made again from the new tip."
    PUSH_UNKNOWN = "PushUnknown", "The connection broke while pushing; it is looked up whether the commit arrived."
    CHILD_TIMEOUT = "ChildTimeout", "A program took longer than it may; it is tried again."
    DISK_FULL = "DiskFull", "There is no room on the controller's disk."
    RENDER_LOST = "RenderLost", "The render worker was lost; the render is done again."
    CHART_PENDING = "ChartPending", "The chart that source.chart names is being looked for."
    REMOTE_UNAVAILABLE = (
        "RemoteUnavailable",
        "A chart repository or registry was not reached, or asks for time; what is running stays.",
    )
    # waiting for a person's word, as asked for
    SUSPENDED = "Suspended", "Suspended in Git until the time it names."
    ROLLED_BACK = "RolledBack", "The controller pinned the last Healthy commit, as rollback.onDegraded says."
    ROLLBACK_STOPPED = "RollbackStopped", "An automatic rollback was due and is not made; the message tells why."
    EXCEPTION_ENDED = "ExceptionEnded", "An exception (suspend, freeze, ignore) has ended by itself."
    FROZEN = "Frozen", "Frozen in Git until the time it names: no new commit is applied."
    MANUAL = "Manual", "sync.mode is manual; `windlass sync` applies what is pending."
    PINNED = "Pinned", "Applied, and held at the commit that source.at pins; `windlass forward` lets go."
    BREAK_GLASS = "BreakGlass", "Pinned in the cluster by a person who may, without Git; it ends by itself."
    BREAK_GLASS_ENDED = "BreakGlassEnded", "A pin in the cluster has ended; the message tells how."
    BREAK_GLASS_JUDGED = "BreakGlassJudged", "A pin in the cluster is asked for, and is being looked at."
    # a person must act
    BREAK_GLASS_REFUSED = "BreakGlassRefused", "A pin in the cluster was asked for and is not made."
    BREAK_GLASS_UNRECORDED = (
        "BreakGlassUnrecorded",
        "A pin in the cluster can't be committed by the controller: somebody has to, before it ends.",
    )
    ERROR = "Error", "Something is wrong; the message tells it."
    NEEDS_HUMAN = "NeedsHuman", "Something is wrong until somebody changes it."
    BAD_SPEC = "BadSpec", "A field of the object itself is wrong; the message names it and the mend."
    BAD_MANIFEST = (
        "BadManifest",
        "A manifest in Git is wrong; nothing of that commit is applied, what ran keeps running.",
    )
    INVALID_OBJECTS = (
        "InvalidObjects",
        "Some objects are wrong by themselves and are left as they are; the others are applied.",
    )
    BAD_DOCUMENT = "BadDocument", "A file can't be read as YAML or JSON the way Kubernetes would."
    DUPLICATE_KEY = "DuplicateKey", "A mapping in a file has one key twice."
    DOCUMENT_TOO_LARGE = "DocumentTooLarge", "A file is too large, too deep, or its aliases multiply it."
    RENDER_FAILED = "RenderFailed", "The source could not be rendered."
    VALUES_MISSING = (
        "ValuesMissing",
        "A ConfigMap or Secret that goes into the render is not there; it goes on by itself when it is.",
    )
    NOT_DECRYPTED = "NotDecrypted", "A file encrypted with SOPS can't be opened."
    KUSTOMIZE_FAILED = "KustomizeFailed", "A kustomization can't be built; the message names the file and the field."
    KUSTOMIZE_REFUSED = "KustomizeRefused", "A kustomization asks for what is not done here, such as running a program."
    RENDER_STOPPED = "RenderStopped", "The render needed more time or memory than it may."
    REMOTE_REFUSED = "RemoteRefused", "An address is not asked, or its certificate, redirect or size is not taken."
    REGISTRY_DENIED = "RegistryDenied", "A chart repository or registry refused the credentials, or wants some."
    REGISTRY_MISSING = "RegistryMissing", "There is no such repository, tag or digest in the registry."
    REGISTRY_WRONG = "RegistryWrong", "A registry's answer is not what the protocol says, or not what was promised."
    CHART_MISSING = "ChartMissing", "No chart of that name, or no version of it in the range, is offered."
    CHART_DIGEST = "ChartDigest", "A chart's archive is not the one that its repository promised."
    CHART_UNVERIFIED = "ChartUnverified", "Nobody of the keyring vouches for the chart; what is running stays."
    CHART_INDEX = "ChartIndex", "The index of a chart repository can't be read."
    PATH_MISSING = "PathMissing", "The folder that source.path names is not in the commit."
    EMPTY_RESULT = (
        "EmptyResult",
        "The source renders to nothing where there was something; sync.allowEmpty confirms it.",
    )
    REPOSITORY_MISSING = "RepositoryMissing", "There is no Repository of that name in the Application's namespace."
    DEPENDENCY_CYCLE = "DependencyCycle", "Applications wait for each other in a circle."
    COMMIT_MISSING = "CommitMissing", "The commit that source.at names is not in the repository."
    REF_MISSING = "RefMissing", "The branch, tag or version range is not in the repository."
    GIT_REFUSED = "GitRefused", "The repository's address, a right, a key, a certificate or a limit is wrong."
    BAD_PATH = "BadPath", "A path or a link leads out of the repository, or to what is not in it."
    BAD_ALERT = "BadAlert", "The expression of an Alert can't be read, or failed on an event."
    BAD_IMAGE = "BadImage", "What should name an image is no name of one."
    BAD_SELECTION = "BadSelection", "The rule by which a tag is chosen can't be read."
    BAD_KEY = "BadKey", "A public key for signatures can't be read; nothing is taken until it can."
    BAD_ROOT = "BadRoot", "The root of trust for keyless signatures can't be read; nothing is taken until it can."
    IMAGE_NOWHERE = "ImageNowhere", "The image stands in none of the files that spec.update.paths names."
    IMAGE_NOT_TAKEN = "ImageNotTaken", "A tag is chosen, and not written: it was reverted, or it may not be written."
    EDIT_REFUSED = "EditRefused", "A field in Git can't be changed in place without changing something else."
    PATH_FENCED = (
        "PathFenced",
        "The controller may not write that file: write.paths of the Repository does not name it.",
    )
    HISTORY_REWRITTEN = "HistoryRewritten", "The branch moved backwards or sideways; history.rewritten says what to do."
    NOT_SIGNED = "NotSigned", "A commit is not signed by a key of spec.verify.signers; it is not followed."
    AUTHENTICATION_FAILED = "AuthenticationFailed", "The repository refused the credentials, or wants some."
    SECRET_MISSING = "SecretMissing", "A Secret that is named is missing or lacks a key."
    NO_LEDGER = "NoLedger", "The Installation names no ledger: what happens is not recorded in Git."
    NOT_WRITABLE = "NotWritable", "The Repository that holds the ledger has no spec.write: events wait on disk."
    NOT_ALLOWED = "NotAllowed", "The account that applies may not do this."
    FIELD_CONFLICT = "FieldConflict", "Another manager owns a field; sync.conflicts says who wins."
    OBJECT_REJECTED = "ObjectRejected", "The API server says that an object is wrong."
    WEBHOOK_DENIED = "WebhookDenied", "An admission webhook or policy said no."
    OWNED_BY_OTHER = "OwnedByOther", "An object belongs to another owner; sync.adopt says whether to take it."
    PRUNE_BLOCKED = (
        "PruneBlocked",
        "More would be pruned than pruneBudget allows, or a protected kind; Git has to confirm it.",
    )
    PARTLY_APPLIED = "PartlyApplied", "Some objects were applied and others failed; each outcome tells."
    TIMED_OUT = "TimedOut", "The sync took longer than sync.timeout."
    UNHEALTHY = "Unhealthy", "Applied, but an object is Degraded or was not healthy within health.timeout."
    NO_INSTALLATION = "NoInstallation", "There is no Installation named windlass."
    ACCESS_UNUSABLE = "AccessUnusable", "The access to the cluster (kubeconfig, token, certificate) can't be used."
    PROGRAM_MISSING = "ProgramMissing", "A program that is needed is not installed."
    CHILD_OUTPUT = "ChildOutput", "A program printed more than it may and was stopped."
    FILE_NOT_WRITABLE = "FileNotWritable", "The controller can't write into its own folder."
    INDEX_BROKEN = "IndexBroken", "The local index over the ledger can't be used; it is made again from Git."
    INTERNAL = "Internal", "A mistake in Windlass itself; the log has the details."
