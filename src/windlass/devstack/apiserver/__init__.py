"""An embedded Kubernetes API server (v1.36) over HTTPS: what the devstack offers to ``kubectl`` and every other client.

What it does not do:

- speak protobuf or HTTP/2; serve ``exec``, ``attach``, ``portforward`` or ``proxy``; log what containers say (none run)
- enforce ResourceQuota, LimitRange or PodSecurity; evaluate ValidatingAdmissionPolicy and MutatingAdmissionPolicy (both are only stored); reach
  webhooks behind a Service or evaluate their ``matchConditions``; refuse a Role that grants more than its author has
- convert custom resources by webhook, ratchet their validation, or estimate the cost of their CEL rules
- aggregate other API servers (APIServices are only stored), serve alpha and beta versions, or describe the fields of built-in kinds in OpenAPI
- priority and fairness: nobody is told 429 but by an eviction budget; audit logs; client certificates

Layers: ``http`` > ``verbs``, ``reading``, ``watching``, ``subresources``, ``reviews`` > ``writing``, ``deleting``, ``admission``, ``custom``,
``apply``, ``table`` > ``store`` > ``journal``. ``machine`` puts them together, ``server`` starts them, ``local`` is the way in for the
workload controllers in the same process.
"""
