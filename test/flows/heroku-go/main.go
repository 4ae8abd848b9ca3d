// Heroku's client for Go, unmodified, against a real server. It prints as JSON what it was told: of
// `read` each call (a method and its arguments, from CALLS) by both versions of the client, of `change`
// what became of an app from its making to its end.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"time"

	five "github.com/heroku/heroku-go/v5"
	heroku "github.com/heroku/heroku-go/v6"
)

// toHost asks loopback under the API's own name, which needs no name server.
type toHost struct{ host string }

func (t toHost) RoundTrip(request *http.Request) (*http.Response, error) {
	request.Host = t.host
	return http.DefaultTransport.RoundTrip(request)
}

var ctx = context.Background()

func main() {
	api, host, token := os.Getenv("API"), os.Getenv("HOST"), os.Getenv("TOKEN")
	client := heroku.NewService(&http.Client{Transport: &heroku.Transport{
		BearerToken: token, Transport: toHost{host}}})
	client.URL = api
	// As Terraform's provider makes its client: an address and a token by Basic.
	old := five.NewService(&http.Client{Transport: &five.Transport{
		Username: os.Getenv("EMAIL"), Password: token, Transport: toHost{host}}})
	old.URL = api

	var said map[string]any
	if os.Args[1] == "read" {
		calls := callsOf("CALLS")
		said = map[string]any{"v5": read(old, calls), "v6": read(client, append(calls, callsOf("NEWER")...))}
	} else {
		said = change(client)
	}
	encoded, err := json.Marshal(said)
	must(encoded, err)
	fmt.Println(string(encoded))
}

func callsOf(variable string) (calls [][]string) {
	if err := json.Unmarshal([]byte(os.Getenv(variable)), &calls); err != nil {
		panic(err)
	}
	return calls
}

// read makes each call, and says of each "ok" or the error.
func read(service any, calls [][]string) map[string]string {
	said := map[string]string{}
	for _, call := range calls {
		method := reflect.ValueOf(service).MethodByName(call[0])
		if !method.IsValid() {
			said[call[0]] = "no such method"
			continue
		}
		arguments := []reflect.Value{reflect.ValueOf(ctx)}
		for _, argument := range call[1:] {
			arguments = append(arguments, reflect.ValueOf(argument))
		}
		for len(arguments) < method.Type().NumIn() {
			arguments = append(arguments, reflect.Zero(method.Type().In(len(arguments))))
		}
		answers := method.Call(arguments)
		said[call[0]] = "ok"
		if err, failed := answers[len(answers)-1].Interface().(error); failed {
			said[call[0]] = err.Error()
		}
	}
	return said
}

func change(client *heroku.Service) map[string]any {
	said := map[string]any{}
	var warnings strings.Builder
	log.SetFlags(0)
	log.SetOutput(&warnings)
	app := must(client.AppCreate(ctx, heroku.AppCreateOpts{
		Name: of("by-go"), Region: of("us"), Stack: of("heroku-24")}))
	// Terraform makes anew whatever it does not read back as it was planned.
	app = must(client.AppInfo(ctx, app.ID))
	said["made"] = app.Name + " " + app.Region.Name + " " + app.BuildStack.Name
	said["maintenance"] = must(client.AppUpdate(ctx, app.ID, heroku.AppUpdateOpts{Maintenance: of(true)})).Maintenance
	must(client.AppUpdate(ctx, app.ID, heroku.AppUpdateOpts{Maintenance: of(false)}))
	must(client.ConfigVarUpdate(ctx, app.ID, map[string]*string{"A": of("1"), "B": of("2")}))
	said["vars"] = must(client.ConfigVarUpdate(ctx, app.ID, map[string]*string{"C": of("3"), "B": nil}))

	// From a source, as `heroku_build` does.
	source := must(client.SourceCreate(ctx))
	put(source.SourceBlob.PutURL, os.Getenv("SOURCE"))
	var build heroku.BuildCreateOpts
	build.SourceBlob.URL, build.SourceBlob.Version = &source.SourceBlob.GetURL, of("abc123")
	building := must(client.BuildCreate(ctx, app.ID, build))
	for building.Status == "pending" {
		time.Sleep(100 * time.Millisecond)
		building = must(client.BuildInfo(ctx, app.ID, building.ID))
	}
	said["build"], said["builtFrom"] = building.Status, *building.SourceBlob.Version
	said["released"] = succeeded(client, app.ID, building.Release.ID)

	// From a slug by hand, as `heroku_slug` and `heroku_app_release` do.
	slug := must(client.SlugCreate(ctx, app.ID, heroku.SlugCreateOpts{
		ProcessTypes: map[string]string{"web": "node server.js by-slug", "clock": "sleep 1000"}}))
	put(slug.Blob.URL, os.Getenv("SLUG"))
	bySlug := must(client.ReleaseCreate(ctx, app.ID, heroku.ReleaseCreateOpts{Slug: slug.ID}))
	said["bySlug"] = succeeded(client, app.ID, bySlug.ID)
	said["clock"] = must(client.FormationInfo(ctx, app.ID, "clock")).Command

	var batch heroku.FormationBatchUpdateOpts
	batch.Updates = append(batch.Updates, struct {
		DynoSize *struct {
			ID   *string `json:"id,omitempty" url:"id,omitempty,key"`
			Name *string `json:"name,omitempty" url:"name,omitempty,key"`
		} `json:"dyno_size,omitempty" url:"dyno_size,omitempty,key"`
		Quantity *int   `json:"quantity,omitempty" url:"quantity,omitempty,key"`
		Type     string `json:"type" url:"type,key"`
	}{Type: "clock", Quantity: of(1)})
	said["scaled"] = must(client.FormationBatchUpdate(ctx, app.ID, batch))[0].Quantity
	// They are there a moment after they were asked for.
	dynos := must(client.DynoList(ctx, app.ID, nil))
	for len(dynos) < 2 {
		time.Sleep(100 * time.Millisecond)
		dynos = must(client.DynoList(ctx, app.ID, nil))
	}
	said["asked"] = "dynos " + fmt.Sprint(len(dynos))
	must(client.DynoRestart(ctx, app.ID, "clock.1"))
	must(client.DynoRestartFormation(ctx, app.ID, "clock"))
	must(client.DynoRestartAll(ctx, app.ID))
	run := must(client.DynoCreate(ctx, app.ID, heroku.DynoCreateOpts{
		Command: "sleep 100", Env: map[string]string{"X": "1"}, Size: of("standard-1X"), TimeToLive: of(600)}))
	must(client.DynoStop(ctx, app.ID, run.Name))
	said["run"] = run.Type

	latest := must(client.ReleaseList(ctx, app.ID, &heroku.ListRange{Field: "version", Max: 1, Descending: true}))
	said["latest"] = len(latest) == 1 && latest[0].Current && latest[0].ID == bySlug.ID
	back := must(client.ReleaseRollback(ctx, app.ID, heroku.ReleaseRollbackOpts{Release: building.Release.ID}))
	said["rollback"] = back.Description

	domain := must(client.DomainCreate(ctx, app.ID, heroku.DomainCreateOpts{Hostname: "go.example.com"}))
	said["domain"] = domain.Hostname
	must(client.DomainUpdate(ctx, app.ID, domain.ID, heroku.DomainUpdateOpts{SniEndpoint: of("")}))
	must(client.DomainDelete(ctx, app.ID, domain.ID))
	must(client.CollaboratorCreate(ctx, app.ID, heroku.CollaboratorCreateOpts{User: "go@example.com", Silent: of(true)}))
	said["left"] = must(client.CollaboratorDelete(ctx, app.ID, "go@example.com")).User.Email
	said["preboot"] = must(client.AppFeatureUpdate(ctx, app.ID, "preboot", heroku.AppFeatureUpdateOpts{})).Enabled
	var buildpacks heroku.BuildpackInstallationUpdateOpts
	buildpacks.Updates = append(buildpacks.Updates, struct {
		Buildpack string `json:"buildpack" url:"buildpack,key"`
	}{"heroku/nodejs"})
	said["buildpack"] = must(client.BuildpackInstallationUpdate(ctx, app.ID, buildpacks))[0].Buildpack.Name
	token := must(client.OAuthAuthorizationCreate(ctx, heroku.OAuthAuthorizationCreateOpts{Scope: []string{"read"}}))
	said["revoked"] = must(client.OAuthAuthorizationDelete(ctx, token.ID)).ID == token.ID
	said["log"] = must(client.LogSessionCreate(ctx, app.ID, heroku.LogSessionCreateOpts{Lines: of(10)})).LogplexURL != ""

	said["warned"] = strings.Split(warnings.String(), "\n")[0]
	said["gone"] = must(client.AppDelete(ctx, app.ID)).Name
	_, err := client.AppInfo(ctx, app.ID)
	var refused heroku.Error
	if errors.As(err, &refused) {
		said["refused"] = fmt.Sprintf("%d %s %s", refused.StatusCode, refused.ID, refused.Error())
	}
	return said
}

// succeeded waits, as Terraform does, until a release is no longer pending.
func succeeded(client *heroku.Service, app, id string) bool {
	release := must(client.ReleaseInfo(ctx, app, id))
	for release.Status == "pending" {
		time.Sleep(100 * time.Millisecond)
		release = must(client.ReleaseInfo(ctx, app, id))
	}
	return release.Status == "succeeded" && release.Slug != nil
}

func put(address, file string) {
	text := must(os.ReadFile(file))
	path := must(url.Parse(address)).Path
	request := must(http.NewRequest("PUT", os.Getenv("API")+path, bytes.NewReader(text)))
	answer := must(toHost{os.Getenv("HOST")}.RoundTrip(request))
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		panic(answer.Status)
	}
}

func of[T any](value T) *T { return &value }

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
