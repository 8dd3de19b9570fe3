# The release, with its CRDs. Settings are a configuration of their own: a plan needs the kinds that it writes.
terraform {
  required_version = ">= 1.11"
  required_providers {
    helm = {
      source  = "hashicorp/helm"
      version = "~> 3.0"
    }
  }
}

resource "helm_release" "mailtier" {
  name             = "mailtier"
  repository       = "oci://registry.example.com/charts"
  chart            = "mailtier"
  version          = "0.1.0"
  namespace        = "mailtier-system"
  create_namespace = true
  wait             = true

  values = [
    yamlencode({
      crds = {
        keep = true
      }
    })
  ]
}
