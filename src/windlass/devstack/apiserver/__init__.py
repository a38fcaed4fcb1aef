"""An embedded Kubernetes API server (v1.36) over HTTPS: what the devstack offers to ``kubectl`` and every other client.

What it does not do:

- answer in protobuf (it reads it) or speak HTTP/2; serve ``exec``, ``attach``, ``portforward`` or ``proxy``; show what
  containers say (none run: logs are simulated)
- enforce ResourceQuota, LimitRange or PodSecurity; evaluate ValidatingAdmissionPolicy and MutatingAdmissionPolicy (both
  are only stored); reach webhooks behind a Service or evaluate their ``matchConditions`` (their failure policy decides
  then); refuse a Role that grants more than its author has
- convert custom resources by webhook, ratchet their validation, check the types in their CEL rules beyond unknown
  fields, or estimate what those cost beforehand
- aggregate other API servers (APIServices are only stored), serve alpha and beta versions, or describe the fields of
  built-in kinds in OpenAPI; OpenAPI v2 in protobuf is an empty document
- priority and fairness (nobody is told 429 but by an eviction budget), audit logs, client certificates
- promise that the last writes survive the death of the machine; they survive that of the process

Layers: ``http`` > ``verbs``, ``reading``, ``watching``, ``subresources``, ``reviews`` > ``writing``, ``deleting``,
``admission``, ``custom``, ``apply``, ``table`` > ``store`` > ``journal``. ``machine`` puts them together, ``server``
starts them, ``local`` is the way in for the workload controllers in the same process.
"""
