# The host's settings, and the password of the relay, bound to the one server it may be sent to.
terraform {
  required_version = ">= 1.11"
  required_providers {
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = "~> 2.38"
    }
  }
}

variable "relay_password" {
  description = "The password of the relay. It is in no plan and in no state."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "relay_password_revision" {
  description = "Raise it with a new password: what is written only is compared by its revision."
  type        = number
  default     = 1
}

resource "kubernetes_secret_v1" "relay" {
  metadata {
    name      = "relay"
    namespace = "mailtier-system"
    annotations = {
      "mailtier.dev/endpoint" = "smtp.example.com:587"
    }
  }
  data_wo = {
    password = var.relay_password
  }
  data_wo_revision = var.relay_password_revision
}

resource "kubernetes_manifest" "host" {
  manifest = {
    apiVersion = "mailtier.dev/v1alpha1"
    kind       = "HostEmailSettings"
    metadata = {
      name = "default"
    }
    spec = {
      smtp = {
        host = "smtp.example.com"
      }
      auth = {
        username = "mailer"
        passwordSecretRef = {
          name = "relay"
        }
      }
      from = {
        address     = "no-reply@example.com"
        displayName = "Example Platform"
      }
    }
  }

  wait {
    condition {
      type   = "Ready"
      status = "True"
    }
  }
  timeouts {
    create = "2m"
    update = "2m"
  }

  depends_on = [kubernetes_secret_v1.relay]
}
