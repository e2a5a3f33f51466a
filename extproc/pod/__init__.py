"""What a pod needs beyond the processes themselves: is the sidecar alive, wait for it, keep Envoy company.

    python -m extproc.pod alive --socket PATH     exec probe: does extproc's event loop answer?
    python -m extproc.pod await --config FILE     start Envoy only when OPA and extproc answer
    python -m extproc.pod keep  --config FILE     bound Envoy's access log; drain Envoy before it is stopped

The chart under helm/ runs these; each is a few lines around facts that docs/deploy-kubernetes.md explains.
"""
