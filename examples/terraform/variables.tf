variable "hosts" {
  description = "Hosts by name."
  type = map(object({
    instance_type = string
    groups        = list(string)
    disk_gib      = optional(number, 200)
    variables     = optional(map(string), {})
  }))
  default = {
    ml1 = { instance_type = "g6.12xlarge", groups = ["ml_hosts"] }
    gw1 = { instance_type = "c7i.large", groups = ["gateways"], disk_gib = 20 }
  }
}

variable "ami" {
  description = "Image of a distribution that the roles know, such as Debian 13."
  type        = string
}

variable "subnet_id" {
  description = "Subnet of all hosts."
  type        = string
}

variable "security_group_ids" {
  description = "Security groups. The controller reaches port 22, the gateways reach the ports of the models."
  type        = list(string)
}

variable "key_name" {
  description = "Key pair of the user that Ansible connects as."
  type        = string
}
