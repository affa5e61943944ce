// Reads {statements, cases} on stdin, lets @cloud-copilot/iam-simulate decide each case, writes the results to stdout.
import { createRequire } from 'node:module'

const { runSimulation } = createRequire(new URL('../../.tools/policy-peer/', import.meta.url))('@cloud-copilot/iam-simulate')
const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)
const { statements, contexts, cases } = JSON.parse(Buffer.concat(chunks).toString())
const results = []
// A session's aws:PrincipalArn is its role's ARN.
const caller = (principal) =>
  principal.replace(':sts:', ':iam:').replace(/:assumed-role\/([^/]+)\/.*/, ':role/$1')
for (const each of cases) {
  const policy = (numbers) => ({
    Version: each.version ?? '2012-10-17',
    Statement: numbers.map((number) => statements[number]),
  })
  const named = (list) => list.map((numbers, index) => ({ name: `p${index}`, policy: policy(numbers) }))
  const answer = await runSimulation(
    {
      request: {
        principal: each.principal,
        action: each.action,
        resource: { resource: each.resource, accountId: each.resource.split(':')[4] },
        contextVariables: { 'aws:PrincipalArn': caller(each.principal), ...contexts[each.action][each.context] },
      },
      identityPolicies: named(each.identity),
      resourcePolicy: policy(each.key_policy),
      serviceControlPolicies: (each.scps ?? []).map((level, index) => ({
        orgIdentifier: `ou-${index}`,
        policies: named(level),
      })),
      resourceControlPolicies: [],
      permissionBoundaryPolicies: each.boundary ? named(each.boundary) : undefined,
      sessionPolicy: each.session ? policy(each.session) : undefined,
    },
    {},
  )
  results.push(answer.resultType === 'error' ? { error: answer.errors } : answer.overallResult)
}
process.stdout.write(JSON.stringify(results))
